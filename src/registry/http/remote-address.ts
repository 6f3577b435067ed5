import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';

/**
 * Who asks, as docker distribution tells it: the address that a proxy in front names (X-Forwarded-For, X-Real-Ip), else
 * `address:port` of the connection.
 */
export function remoteAddress({ headers, socket }: IncomingMessage): string | undefined {
  for (const header of ['x-forwarded-for', 'x-real-ip']) {
    const [first = ''] = String(headers[header] ?? '').split(',', 1);
    if (isIP(first.trim()) !== 0) return first.trim();
  }
  if (socket.remoteAddress === undefined) return undefined;
  const address = socket.remoteAddress.replace(/^::ffff:(?=\d+\.)/, '');
  return `${isIP(address) === 6 ? `[${address}]` : address}:${socket.remotePort}`;
}
