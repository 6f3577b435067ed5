# The image of every part: registry, collector, operator. `scripts/image` builds it without Docker.
# BASE needs npm and glibc, nothing else: the Node in the image is the one that package-lock.json pins, which the tests ran with.
ARG BASE=docker.io/library/node:26-bookworm-slim

FROM ${BASE} AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
# The secrets are optional: settings for npm where the machine has a registry or a certificate authority of its own.
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc --mount=type=secret,id=ca,target=/run/secrets/ca --mount=type=cache,target=/root/.npm \
    npm ci --no-audit --no-fund
COPY src src
COPY scripts/bundle.ts scripts/rootfs scripts/
RUN node_modules/.bin/node scripts/bundle.ts /rootfs/app && sh scripts/rootfs /rootfs

FROM scratch
COPY --from=build /rootfs /
USER 65532:65532
ENV PATH=/usr/local/bin NODE_ENV=production
EXPOSE 5000
ENTRYPOINT ["/usr/local/bin/node", "/app/main.js"]
CMD ["serve", "/etc/docker/registry/config.yml"]
