import type { AccessController } from '../auth/access-controller.ts';
import { authorize } from './access.ts';
import type { Api } from './app.ts';
import { deleteBlob, getBlob } from './blobs.ts';
import type { HandlerContext } from './handler-context.ts';
import { listCatalog, listTags } from './listings.ts';
import { deleteManifest, getManifest, getReferrers, putManifest } from './manifests.ts';
import { deleteUpload, getUpload, patchUpload, postUpload, putUpload } from './uploads.ts';

/** What a registry that takes pushes does. */
export function registryApi(context: HandlerContext, controller: AccessController): Api {
  return {
    authorize: (exchange, route) => authorize(exchange, route, controller, context.links),
    handlers: {
      base: { GET: (exchange) => exchange.answerJson(200, {}) },
      catalog: { GET: (exchange) => listCatalog(exchange, context) },
      tags: { GET: (exchange, route) => listTags(exchange, route, context) },
      manifest: {
        GET: (exchange, route) => getManifest(exchange, route, context),
        PUT: (exchange, route) => putManifest(exchange, route, context),
        DELETE: (exchange, route) => deleteManifest(exchange, route, context),
      },
      blob: {
        GET: (exchange, route) => getBlob(exchange, route, context),
        DELETE: (exchange, route) => deleteBlob(exchange, route, context),
      },
      referrers: { GET: (exchange, route) => getReferrers(exchange, route, context) },
      uploads: { POST: (exchange, route) => postUpload(exchange, route, context) },
      upload: {
        GET: (exchange, route) => getUpload(exchange, route, context),
        PATCH: (exchange, route) => patchUpload(exchange, route, context),
        PUT: (exchange, route) => putUpload(exchange, route, context),
        DELETE: (exchange, route) => deleteUpload(exchange, route, context),
      },
    },
  };
}
