# The server's image. docs/docker.md says how it is used.
#   docker build -t homelab-llm:local .
# BASE_IMAGE   Debian 12; name a digest for builds that repeat exactly
# BACKENDS     GPU plug-ins beside the processor's: "vulkan", "cuda" or both (cuda wants NVIDIA's runtime image as BASE_IMAGE)
# PREBUILT     1: the two programs are in build/bin of the context already (tools/image.sh makes such a context)
# No --mount and no syntax line: the builders of docker-compose 1.29 and of engines without BuildKit read this, too.
ARG BASE_IMAGE=debian:12.12-slim

FROM ${BASE_IMAGE} AS build
ARG PREBUILT=
ARG BACKENDS=
# For networks with an own package index; stays in this stage.
ARG NPM_CONFIG_REGISTRY
WORKDIR /src
COPY tools/ tools/
COPY packaging/ packaging/
RUN packaging/image/packages.sh build
COPY . .
RUN packaging/image/programs.sh /out

FROM ${BASE_IMAGE} AS runtime
COPY packaging/image/packages.sh packaging/image/runtime-packages.txt /tmp/packaging/
ARG BACKENDS=
RUN /tmp/packaging/packages.sh runtime

FROM build AS sbom
COPY --from=runtime /var/lib/dpkg/status /tmp/dpkg-status
RUN packaging/sbom.py --dpkg-status /tmp/dpkg-status >/sbom.spdx.json

FROM runtime
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="Homelab LLM Server" \
      org.opencontainers.image.description="Language models at home from one shared Hugging Face cache" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
COPY --from=build /out/ /
COPY --from=sbom /sbom.spdx.json /usr/share/homelab-llm/sbom.spdx.json
# A container's network is its own: publishing the port (-p, ports:) is what opens it. There are no API keys yet, so publish
# to people you trust only. HOME is where the original's compose file mounts the cache, for every user.
ENV HOMELAB_LLM_CONTAINER=1 \
    HOMELAB_LLM_HOST=0.0.0.0 \
    HOMELAB_LLM_ALLOW_REMOTE=true \
    HOME=/root
WORKDIR /data
EXPOSE 8000
STOPSIGNAL SIGTERM
# Root only until the owner of the cache is known (docs/decisions/0024); --user and compose.yaml begin as that user.
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=3 CMD ["homelab-llm", "ping"]
ENTRYPOINT ["homelab-llm"]
CMD ["serve"]
