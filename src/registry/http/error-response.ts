import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { RegistryError, errorTable, type ErrorItem } from '../errors.ts';
import type { Logger } from '../../process/logger.ts';
import type { Exchange } from './exchange.ts';

/**
 * The one place where errors become answers: `{"errors":[{code,message,detail}]}`. OCI distribution-spec "Error codes".
 * What is no RegistryError is a fault of ours: logged here, once, and told as UNKNOWN with the id to find it by.
 */
export function answerError(exchange: Exchange, error: unknown, log: Logger): void {
  const { request, response } = exchange;
  // Nobody is there to be told; the access log has the line.
  if (exchange.clientIsGone) return;
  const known = error instanceof RegistryError ? error : undefined;
  if (known === undefined || (known.status >= 500 && known.cause !== undefined)) {
    log.error(
      { requestId: exchange.requestId, method: request.method, url: request.url, error },
      'request failed',
    );
  }
  if (response.headersSent) {
    // The client must not take what it has for the whole.
    response.destroy();
    return;
  }
  // A body that is on its way is read to its end, so that the client comes to read the answer.
  request.resume();
  const told = known ?? new RegistryError({ code: 'UNKNOWN', detail: { requestId: exchange.requestId } });
  exchange.answerJson(told.status, { errors: told.items.map(wireItem) }, told.headers);
}

/** What Node finds wrong before there is a request, by its code. */
const clientErrors: Readonly<Record<string, ErrorItem['code']>> = {
  HPE_HEADER_OVERFLOW: 'HEADERS_TOO_LARGE',
  ERR_HTTP_REQUEST_TIMEOUT: 'HEADERS_TIMEOUT',
};

/** Answers bytes that are no request of HTTP/1.1, as far as somebody is there to read it. */
export function answerClientError(error: Error & { readonly code?: string }, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const code = clientErrors[error.code ?? ''] ?? 'REQUEST_MALFORMED';
  const { status } = errorTable[code];
  const body = JSON.stringify({ errors: [wireItem({ code })] });
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'Docker-Distribution-Api-Version: registry/2.0',
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}

function wireItem(item: ErrorItem): object {
  const entry: { readonly message: string; readonly wire?: string } = errorTable[item.code];
  return {
    code: entry.wire ?? item.code,
    message: item.message ?? entry.message,
    ...(item.detail !== undefined && { detail: item.detail }),
  };
}
