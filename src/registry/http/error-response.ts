import { RegistryError, errorTable, type ErrorItem } from '../errors.ts';
import type { Logger } from '../../process/logger.ts';
import type { Exchange } from './exchange.ts';

/**
 * The one place where errors become answers: `{"errors":[{code,message,detail}]}`. OCI distribution-spec "Error codes".
 * What is no RegistryError is a fault of ours: logged here, once, and told as UNKNOWN with the id to find it by.
 */
export function answerError(exchange: Exchange, error: unknown, log: Logger): void {
  const { request, response, requestId } = exchange;
  // Nobody is there to be told; the access log has the line.
  if (exchange.clientIsGone) return;
  const known = error instanceof RegistryError ? error : undefined;
  if (known === undefined || (known.status >= 500 && known.cause !== undefined)) {
    log.error({ requestId, method: request.method, url: request.url, error }, 'request failed');
  }
  if (response.headersSent) {
    // The client must not take what it has for the whole.
    response.destroy();
    return;
  }
  // A body that is on its way is read to its end, so that the client comes to read the answer.
  request.resume();
  const told = known ?? new RegistryError({ code: 'UNKNOWN', detail: { requestId } });
  exchange.answerJson(told.status, { errors: told.items.map(wireItem) }, told.headers);
}

function wireItem(item: ErrorItem): object {
  const entry: { readonly message: string; readonly wire?: string } = errorTable[item.code];
  return {
    code: entry.wire ?? item.code,
    message: item.message ?? entry.message,
    ...(item.detail !== undefined && { detail: item.detail }),
  };
}
