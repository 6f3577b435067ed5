import type { Server } from 'node:http';
import { UsageError } from './command.ts';

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** Reads `HOST:PORT`, or `:PORT` for all addresses. @throws UsageError that names the option */
export function readListenAddress(option: string, address: string): ListenAddress {
  const match = /^(?:\[(?<v6>[0-9a-fA-F:.]+)\]|(?<host>[^:[\]]*)):(?<port>\d{1,5})$/.exec(address);
  const port = Number(match?.groups?.['port']);
  if (match === null || port > 65_535) {
    throw new UsageError(`--${option}: '${address}' is not HOST:PORT or :PORT`);
  }
  return { host: match.groups?.['v6'] ?? (match.groups?.['host'] || '::'), port };
}

/** Where a server listens: on which port, where it could choose one. */
export function listenAddressOf(server: Server): ListenAddress {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('the server listens on no port');
  return { host: address.address, port: address.port };
}

/** Ends a server at once: probes keep their connections open. */
export function closeAtOnce(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
