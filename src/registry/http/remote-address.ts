import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { isIP } from 'node:net';

/**
 * Who asks, as docker distribution tells it: the address that a proxy in front names (X-Forwarded-For, X-Real-IP), else
 * `address:port` of the connection.
 */
export function remoteAddress(request: IncomingMessage): string | undefined {
  const forwarded = forwardedFor(request.headers);
  const address = forwarded ?? remoteIp(request);
  if (forwarded !== undefined || address === undefined) return address;
  return `${isIP(address) === 6 ? `[${address}]` : address}:${request.socket.remotePort}`;
}

/** As `remoteAddress`, without a port. */
export function remoteIp({ headers, socket }: IncomingMessage): string | undefined {
  return forwardedFor(headers) ?? socket.remoteAddress?.replace(/^::ffff:(?=\d+\.)/, '');
}

function forwardedFor(headers: IncomingHttpHeaders): string | undefined {
  for (const header of ['x-forwarded-for', 'x-real-ip']) {
    const [first = ''] = String(headers[header] ?? '').split(',', 1);
    if (isIP(first.trim()) !== 0) return first.trim();
  }
  return undefined;
}
