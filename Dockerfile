# syntax=docker/dockerfile:1
# One image: cutline-agent, cutline-coordinator and cutline (kubectl-cutline). `make image` builds it with docker, podman
# or buildah, and says which base it took, by digest.

# The base of the image: Node 24 on Debian. For releases NAME@sha256:DIGEST.
ARG BASE=node:24-bookworm-slim
# Where it is compiled: the same, with npm.
ARG BUILD_BASE=${BASE}

FROM ${BUILD_BASE} AS build
WORKDIR /src
COPY . .
# npm of the machine that builds may have settings (a mirror) and authorities of its own; they stay out of the image.
RUN --mount=type=secret,id=npmrc,target=/run/secrets/npmrc \
    --mount=type=secret,id=authorities,target=/run/secrets/authorities \
    sh deploy/image/build.sh

FROM ${BASE}
ARG VERSION=0.0.0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
ARG BASE

# nftables is what the traffic mode `redirect` sets its rules with, once, before the application starts.
RUN if ! command -v nft >/dev/null; then \
      apt-get update && apt-get install -y --no-install-recommends nftables && rm -rf /var/lib/apt/lists/*; \
    fi; \
    rm -rf /usr/local/lib/node_modules /opt/yarn* /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack \
      /usr/local/bin/yarn /usr/local/bin/yarnpkg

COPY --from=build /image/ /
# What the base brings is known only here.
RUN node /opt/cutline/image/bill-of-materials.js /opt/cutline/sbom.cdx.json

LABEL org.opencontainers.image.title="Cutline" \
      org.opencontainers.image.description="Consistent global states of running gRPC systems: agent, coordinator, command line" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="${BASE}"

ENV NODE_ENV=production
# By number: Kubernetes' runAsNonRoot cannot judge a name.
USER 65532:65532
WORKDIR /tmp
ENTRYPOINT []
CMD ["cutline-coordinator"]
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 CMD ["node", "/opt/cutline/image/health.js"]
