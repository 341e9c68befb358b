"""count_junit.py FILE: prints "<passed> <failed>" of a junit report; a report without a test is an error."""

import sys
import xml.etree.ElementTree as xml

suites = xml.parse(sys.argv[1]).getroot().iter("testsuite")
total = bad = skipped = 0
for suite in suites:
    total += int(suite.get("tests", 0))
    bad += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    skipped += int(suite.get("skipped", 0))
if total - skipped == 0:
    sys.exit("no test was executed")
print(total - bad - skipped, bad)
