# virga's node as a container. Executors outside reach it through the mounted socket folder:
#
#   docker build --tag virga .
#   sudo install -d -o 1000 -g 1000 -m 0700 /run/virga
#   docker run --detach --stop-timeout 30 --volume /run/virga:/run/virga --volume virga-data:/var/lib/virga virga
#
# The socket can be opened by its owner alone, so executors must run as the same user: the image's (uid 1000), or
# another one given with `docker run --user`, which must own both folders. A node that stops waits for what is open, up to
# ten seconds, before it gives up its lease.
ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /opt/virga
COPY package.json package-lock.json ./
# Without install scripts: the native packages carry prebuilt binaries.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts scripts
COPY src src
RUN npm run build
RUN npm prune --omit=dev --ignore-scripts --no-audit --no-fund \
  && node scripts/keep-loaded-addons.mjs \
  && rm -r scripts src tsconfig.json tsconfig.build.json

FROM ${NODE_IMAGE}
LABEL org.opencontainers.image.title="virga" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/virga /opt/virga
COPY LICENSE /opt/virga/
RUN ln -s /opt/virga/dist/cli/main.js /usr/local/bin/virga \
  && mkdir --mode 0700 /run/virga /var/lib/virga \
  && chown node:node /run/virga /var/lib/virga
# The end of what glibc has freed goes back to the system at once; the rest when the node rests (docs/decisions/giving-freed-memory-back.md).
ENV NODE_ENV=production \
  MALLOC_TRIM_THRESHOLD_=131072 \
  MALLOC_MMAP_THRESHOLD_=131072 \
  VIRGA_SOCKET=/run/virga/node.sock \
  VIRGA_STORAGE=lmdb:/var/lib/virga
USER node
WORKDIR /var/lib/virga
VOLUME ["/run/virga", "/var/lib/virga"]
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["virga", "status"]
# docs/decisions/garbage-collection-on-one-thread.md, docs/decisions/memory-used-again.md
ENTRYPOINT ["node", "--single-threaded-gc", "--max-semi-space-size=16", "/opt/virga/dist/cli/main.js"]
CMD ["serve"]
