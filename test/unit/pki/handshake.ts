import assert from 'node:assert/strict';
import { once } from 'node:events';
import { duplexPair } from 'node:stream';
import { connect, TLSSocket } from 'node:tls';
import type { CertificatePair } from '../../../src/pki/key-pair.ts';

/** Shakes hands as a client that connects to `host` and trusts `ca`; resolves when both sides agree. */
export async function handshake(host: string, ca: string, pair: CertificatePair): Promise<void> {
  const [clientSide, serverSide] = duplexPair();
  const serverSocket = new TLSSocket(serverSide, { isServer: true, cert: pair.certificate, key: pair.key });
  serverSocket.on('error', () => {
    // The client's verdict is what is tested.
  });
  const client = connect({ socket: clientSide, host, ca });
  try {
    await once(client, 'secureConnect');
    assert.equal(client.authorized, true);
  } finally {
    client.destroy();
    serverSocket.destroy();
  }
}
