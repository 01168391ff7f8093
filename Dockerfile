# Node 26 is the newest LTS. There is no digest here, so that each build gets the fixes of the base image. Pin it for a
# build that can be repeated: --build-arg NODE_IMAGE=node:26-slim@sha256:...
ARG NODE_IMAGE=node:26-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
# With the optional dependencies: the program of esbuild, which bundles the page, is one of them.
RUN npm ci --ignore-scripts
COPY tsconfig.json ./
COPY src ./src
COPY ui ./ui
RUN npm run build && find dist \( -name '*.d.ts' -o -name .tsbuildinfo \) -exec rm {} +

# Installs only what the program needs at run time. The PostgreSQL server of `dev` and the tests is an optional
# dependency. Packages also ship tests, types and source maps, OpenTelemetry ships itself three times, and zod ships its
# sources: these are removed.
FROM ${NODE_IMAGE} AS install
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --omit=optional --ignore-scripts \
  && find node_modules \( \
    -name test -o -name tests -o -name '*.test.*' -o -name '*.map' \
    -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' \
    -o -path '*/zod/src' -o -path '*/zod/*.cjs' \
    -o -path '*/@opentelemetry/*/build/es*' -o -path '*/@opentelemetry/*/dist/*.mjs' \
  \) -prune -exec rm -r {} +
COPY --from=build /app/dist ./dist
COPY sql ./sql
COPY LICENSE ./
# Any user may read the files, whatever their mode in the checkout. Only root may write them.
RUN chmod -R u=rwX,go=rX package.json node_modules dist sql LICENSE

# Node with the shared libraries that its loader lists, at the paths of the base image. Distroless images lack libatomic,
# which Node needs since version 25. The last line shows that nothing is missing.
FROM ${NODE_IMAGE} AS node
RUN mkdir /node \
  && tar -chf /node.tar /usr/local/bin/node /etc/passwd /etc/group /etc/nsswitch.conf \
    $(LD_TRACE_LOADED_OBJECTS=1 node | grep -o '/[^ ]*') \
  && tar -xf /node.tar -C /node \
  && chroot /node /usr/local/bin/node --version

# No shell, no npm, no package manager: nothing but Node and the program.
FROM scratch
LABEL org.opencontainers.image.title="caching-layer" \
  org.opencontainers.image.description="A caching sidecar for teams with PostgreSQL" \
  org.opencontainers.image.source="https://github.com/caching-layer/caching-layer" \
  org.opencontainers.image.licenses="MIT"
# By default glibc keeps most of what is freed, and the resident size keeps growing (docs/contributing/torture.md). With
# these settings, all threads share one heap, and blocks of 32 KiB or more, such as the buffers of sockets, go back to
# the system at once.
ENV PATH=/usr/local/bin NODE_ENV=production \
  MALLOC_ARENA_MAX=1 MALLOC_MMAP_THRESHOLD_=32768 MALLOC_TRIM_THRESHOLD_=131072
COPY --from=node /node /
WORKDIR /app
COPY --from=install /app/package.json ./
COPY --from=install /app/node_modules ./node_modules
COPY --from=install /app/dist ./dist
COPY --from=install /app/sql ./sql
COPY --from=install /app/LICENSE ./
# A number, so that Kubernetes can tell that it is not root (runAsNonRoot). Any other number works as well, because
# nothing is written. The root file system may be read-only.
USER 1000:1000
# The data port, which is bound to loopback unless HOST says otherwise, and the operations port.
EXPOSE 8025 9025
# For Docker and Compose. Kubernetes uses its own probes.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
  CMD ["node", "dist/main.js", "healthcheck"]
# It runs as process 1 without an init: it handles SIGTERM and SIGINT, and starts no children.
ENTRYPOINT ["node", "dist/main.js"]
CMD ["serve"]
