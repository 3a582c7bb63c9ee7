# The appliance as docker-compose.yml runs it, on a Convex backend and a Qdrant beside it.
FROM node:24.21.0-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# The image has its Node already.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund && rm -rf node_modules/node-linux-* node_modules/.bin/node
COPY . .
RUN npm run build

FROM node:24.21.0-bookworm-slim
WORKDIR /app
# The same flags and environment as appliance/nodeFlags.ts, which says why.
ENV NODE_ENV=production NIKA_DATA=/data NODE_OPTIONS="--max-semi-space-size=4 --max-old-space-size=640" \
  MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=1048576 MALLOC_TRIM_THRESHOLD_=524288
COPY --from=build /app /app
RUN printf '#!/bin/sh\nexec node /app/appliance/cli/nika.ts "$@"\n' > /usr/local/bin/nika \
  && chmod 755 /usr/local/bin/nika \
  && install -d -o node -g node -m 700 /data
USER node
VOLUME /data
EXPOSE 6452
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:6452/nika/health').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
CMD ["nika", "up", "--foreground"]
