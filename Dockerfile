FROM node:26-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# The PostgreSQL server among the development dependencies is for `dev` and the tests.
RUN npm ci --omit=optional --ignore-scripts
COPY tsconfig.json ./
COPY src ./src
RUN npm run build && npm prune --omit=dev --ignore-scripts

FROM node:26-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY sql ./sql
USER node
EXPOSE 8025
ENTRYPOINT ["node", "dist/main.js"]
CMD ["serve"]
