#!/usr/bin/env python3
"""sbom.py --dpkg-status FILE: SPDX 2.3 (JSON) of what an image holds: our programs, the pinned llama.cpp packages that are
built into them, and every installed Debian package of the dpkg status file. The same input gives the same document."""

import argparse
import hashlib
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def spdx_id(*words):
    return "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", "-".join(words))


def package(name, version, license_, purl=None, sha256=None):
    entry = {"SPDXID": spdx_id(name, version), "name": name, "versionInfo": version, "downloadLocation": "NOASSERTION",
             "filesAnalyzed": False, "licenseConcluded": "NOASSERTION", "licenseDeclared": license_,
             "copyrightText": "NOASSERTION"}
    if purl:
        entry["externalRefs"] = [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}]
    if sha256:
        entry["checksums"] = [{"algorithm": "SHA256", "checksumValue": sha256}]
    return entry


def own_version():
    return re.search(r"project\(homelab_llm VERSION ([0-9.]+)", (ROOT / "CMakeLists.txt").read_text()).group(1)


def npm_packages():
    for line in (ROOT / "tools" / "llama.lock").read_text().splitlines():
        if line and not line.startswith("#"):
            name, version, sha256 = line.split()
            yield package(name, version, "MIT", f"pkg:npm/{name.replace('@', '%40')}@{version}", sha256)


def debian_packages(status):
    for paragraph in status.split("\n\n"):
        fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", paragraph, re.M))
        if fields.get("Status", "").endswith(" installed"):
            name, version, machine = fields["Package"], fields["Version"], fields.get("Architecture", "all")
            yield package(name, version, "NOASSERTION", f"pkg:deb/debian/{name}@{version.replace('+', '%2B')}?arch={machine}")


def document(status):
    own = package("homelab-llm", own_version(), "MIT")
    parts = sorted([*npm_packages(), *debian_packages(status)], key=lambda one: one["SPDXID"])
    body = {"spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
            "name": f"homelab-llm-{own['versionInfo']}", "packages": [own, *parts],
            "relationships": [{"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES",
                               "relatedSpdxElement": own["SPDXID"]}]
            + [{"spdxElementId": own["SPDXID"], "relationshipType": "DEPENDS_ON", "relatedSpdxElement": one["SPDXID"]}
               for one in parts]}
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    # No clock: an image that is built again from the same parts has the same list.
    return {**body, "documentNamespace": f"urn:homelab-llm:sbom:{digest}",
            "creationInfo": {"created": "1970-01-01T00:00:00Z", "creators": ["Tool: packaging/sbom.py"]}}


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--dpkg-status", required=True, type=pathlib.Path)
    json.dump(document(arguments.parse_args().dpkg_status.read_text()), sys.stdout, indent=1)
    print()


main()
