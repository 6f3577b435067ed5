import type { Config } from '../../contract/config/config.ts';
import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';
import type { Exchange } from './exchange.ts';

/** Writes one line for a request that is over. */
export type AccessLog = (exchange: Exchange, facts: AccessFacts) => void;

interface AccessFacts {
  /** Address of the other end of the connection, which is forgotten when that closes. */
  readonly peer: string | undefined;
  /** From the first byte of the request to the last of the answer. */
  readonly milliseconds: number;
}

/**
 * The log of requests: Apache's combined format on standard output where the log is text, as docker distribution writes
 * it; else objects among the other lines. `log.level` does not concern it.
 * @returns undefined when it is turned off.
 */
export function createAccessLog(
  { accesslog, formatter }: Config['log'],
  deps: { readonly log: Logger; readonly clock: Clock; readonly stdout: { write(text: string): unknown } },
): AccessLog | undefined {
  if (accesslog.disabled) return undefined;
  return formatter === 'text' ? combinedLog(deps) : recordLog(deps.log.child({}, { level: 'info' }));
}

function recordLog(log: Logger): AccessLog {
  return (exchange, { peer, milliseconds }) => {
    const { cache, request, requestId, status, sentBytes, user } = exchange;
    log.info(
      {
        requestId,
        method: request.method,
        url: request.url,
        status,
        bytes: sentBytes,
        milliseconds: Math.round(milliseconds * 1000) / 1000,
        remote: address(peer),
        user,
        cache,
        userAgent: request.headers['user-agent'],
      },
      'request',
    );
  };
}

/** https://httpd.apache.org/docs/2.4/logs.html#combined. Lines of one turn of the event loop are written together. */
function combinedLog({
  clock,
  stdout,
}: {
  readonly clock: Clock;
  readonly stdout: { write(text: string): unknown };
}): AccessLog {
  let lines = '';
  let second = 0;
  let time = '';
  return (exchange, { peer }) => {
    const { request, status, sentBytes, user } = exchange;
    if (lines === '') {
      setImmediate(() => {
        const written = lines;
        lines = '';
        stdout.write(written);
      });
    }
    const now = Math.floor(clock.now() / 1000);
    if (now !== second) [second, time] = [now, apacheTime(now)];
    lines +=
      `${address(peer) ?? '-'} - ${field(user)} [${time}] ` +
      `"${request.method} ${quoted(request.url)} HTTP/${request.httpVersion}" ${status} ${sentBytes} ` +
      `"${quoted(request.headers.referer)}" "${quoted(request.headers['user-agent'])}"\n`;
  };
}

/** An IPv4 address of a listener for both families is written as one. */
function address(peer: string | undefined): string | undefined {
  return peer?.replace(/^::ffff:(?=\d+\.)/, '');
}

/** A user's name may hold what would end the field. */
function field(text: string | undefined): string {
  return text === undefined || text === '' ? '-' : quoted(text).replaceAll(/[\s[\]]/g, '_');
}

/** As Go's gorilla/handlers quotes: nothing that a client sends can end the string or the line. */
function quoted(text: string | undefined): string {
  if (text === undefined || PLAIN.test(text)) return text ?? '';
  return text.replaceAll(/["\\]|[^ -~]/gu, (character) =>
    character === '"' || character === '\\'
      ? `\\${character}`
      : `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  );
}

/** Nothing to quote. */
const PLAIN = /^[ !#-[\]-~]*$/;

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** `02/Jan/2006:15:04:05 +0000`. @param second since the epoch. */
function apacheTime(second: number): string {
  const date = new Date(second * 1000);
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${two(date.getUTCDate())}/${MONTHS[date.getUTCMonth()]}/${date.getUTCFullYear()}`;
  return `${day}:${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())} +0000`;
}
