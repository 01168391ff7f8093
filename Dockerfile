# syntax=docker/dockerfile:1

# Node 26 is the newest LTS. The slim image and not a distroless one: since version 25 Node needs libatomic, which
# the distroless C++ base lacks. A build for production may pin it: --build-arg NODE_IMAGE=node:26-slim@sha256:...
ARG NODE_IMAGE=node:26-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=optional --ignore-scripts
COPY tsconfig.json ./
COPY src ./src
RUN npm run build

# What the program needs when it runs, and nothing else (packages ship their tests, types and source maps, OpenTelemetry also itself three times): the PostgreSQL server that `dev` and the tests bring along
# is a development dependency with optional parts.
FROM ${NODE_IMAGE} AS install
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --omit=optional --ignore-scripts \
  && find node_modules \( -name test -o -name tests -o -name '*.test.*' -o -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -path '*/@opentelemetry/*/build/es*' -o -path '*/@opentelemetry/*/dist/*.mjs' \) -prune -exec rm -r {} +
COPY --from=build /app/dist ./dist
COPY sql ./sql
# Any user may read it, whatever the mode of the files in the checkout; nobody but root may write.
RUN chmod -R u=rwX,go=rX package.json node_modules dist sql

FROM ${NODE_IMAGE}
# By default glibc keeps most of what is freed, so that the resident size goes on growing (docs/torture.md). With these, all threads share
# one heap, and blocks of 32 KiB or more, such as the buffers of sockets, go back to the system at once.
ENV NODE_ENV=production MALLOC_ARENA_MAX=1 MALLOC_MMAP_THRESHOLD_=32768 MALLOC_TRIM_THRESHOLD_=131072
WORKDIR /app
COPY --from=install /app/package.json ./
COPY --from=install /app/node_modules ./node_modules
COPY --from=install /app/dist ./dist
COPY --from=install /app/sql ./sql
# By number, so that Kubernetes can tell that it is not root (runAsNonRoot). Any other number works as well:
# nothing is written, and the root file system may be read-only.
USER 1000:1000
# The data port, which is bound to loopback unless HOST says otherwise, and the operations port.
EXPOSE 8025 9025
# For Docker and Compose. Kubernetes has its own probes.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --start-interval=1s CMD ["node", "dist/main.js", "healthcheck"]
# Process 1 by itself: it handles SIGTERM and SIGINT and starts no children, so there is nothing for an init to do.
ENTRYPOINT ["node", "dist/main.js"]
CMD ["serve"]
