import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseAddress } from '../../contract/config/config.ts';
import { ListenError } from './listen-error.ts';

/** @throws ListenError that names the option */
export async function listen(
  server: Server,
  option: string,
  address: string,
  net: 'tcp' | 'unix' = 'tcp',
): Promise<void> {
  // parseConfig has checked the address. Without a host Node takes `::`, IPv4 included, or `0.0.0.0` where that fails.
  const { host, port } = (net === 'tcp' ? parseAddress(address) : undefined) ?? {};
  const options = net === 'unix' ? { path: address } : { port, ...(host !== undefined && { host }) };
  await new Promise<void>((resolve, reject) => {
    const failed = (error: Error): void => reject(new ListenError(option, address, error));
    server.once('error', failed);
    server.listen(options, () => {
      server.off('error', failed);
      resolve();
    });
  });
}

/** What was bound, so that port 0 can be asked for. */
export function addressOf(server: Server): string {
  const address: AddressInfo | string | null = server.address();
  if (address === null || typeof address === 'string') return address ?? '';
  return address.family === 'IPv6'
    ? `[${address.address}]:${address.port}`
    : `${address.address}:${address.port}`;
}
