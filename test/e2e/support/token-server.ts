import { spawn } from 'node:child_process';
import { createHash, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { testCertificate } from '../../support/test-certificates.ts';
import type { TestAuthority } from '../../support/test-authority.ts';
import { writePair, writeUsers } from '../../support/serve-process.ts';
import { script } from '../cluster.ts';
import { killProcess } from '../collector-process.ts';
import { waitFor } from '../wait.ts';

/** docker distribution's own server of tokens. A user may do everything below their own name, and see the catalog. */
export interface TokenServer {
  /** `auth.token.realm`. */
  readonly realm: string;
  readonly issuer: string;
  /** PEM of a certificate of the key that signs. */
  readonly certificate: string;
  /** The same key as a JSON Web Key Set, under another name than the server gives it. */
  readonly keySet: string;
  /** The same, under the name that the server gives it: distribution 3 looks for that. */
  readonly namedKeySet: string;
}

/** Starts it on the loopback address, over TLS, without which clients of a registry with TLS do not trust it. It ends with the test. */
export async function startTokenServer(
  t: TestContext,
  users: Readonly<Record<string, string>>,
  tls: TestAuthority,
): Promise<TokenServer> {
  const folder = mkdtempSync(join(tmpdir(), 'token-server-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const { pem, privateKey, publicKey } = testCertificate({ commonName: 'tokens' });
  const key = join(folder, 'key.pem');
  writeFileSync(key, privateKey.export({ type: 'sec1', format: 'pem' }));
  writeUsers(folder, users);
  writePair(folder, await tls.issue());
  const port = await freePort();
  const address = `127.0.0.1:${port}`;
  const issuer = 'token-server';
  const program = (await script('tools', ['token-server'])).trim();
  const passwd = join(folder, 'htpasswd');
  const pair = ['-tlscert', join(folder, 'tls.crt'), '-tlskey', join(folder, 'tls.key')];
  const options = [
    ...pair,
    '-addr',
    address,
    '-issuer',
    issuer,
    '-realm',
    'tokens',
    '-key',
    key,
    '-passwd',
    passwd,
  ];
  const child = spawn(program, options, { stdio: 'ignore' });
  t.after(() => killProcess(child));
  // crane takes no realm whose host is a private address.
  const realm = `https://localhost:${port}/token/`;
  await waitFor('the token server answers', () => canConnect(address), {
    timeout: 10_000,
  });
  return {
    realm,
    issuer,
    certificate: pem,
    keySet: keySetOf(publicKey, createHash('sha256').update('some name').digest('hex')),
    namedKeySet: keySetOf(publicKey, fingerprint(publicKey)),
  };
}

/** As libtrust names keys: the first 240 bits of the SHA-256 of the key, in base 32 and groups of four. */
function fingerprint(publicKey: KeyObject): string {
  const der = publicKey.export({ type: 'spki', format: 'der' });
  const hash = createHash('sha256').update(der).digest().subarray(0, 30);
  const digits = BigInt(`0x${hash.toString('hex')}`)
    .toString(32)
    .padStart(48, '0');
  const letters = digits.replace(
    /./g,
    (digit) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[Number.parseInt(digit, 32)] ?? '',
  );
  return letters.replace(/.{4}(?=.)/g, '$&:');
}

function keySetOf(publicKey: KeyObject, kid: string): string {
  return JSON.stringify({
    keys: [{ ...publicKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'ES256' }],
  });
}

/** The server does not tell which port it took, so one is chosen for it. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // a TCP server has one
  server.close();
  await once(server, 'close');
  return port;
}

async function canConnect(address: string): Promise<true> {
  const [host = '', port] = address.split(':');
  const socket = connect({ host, port: Number(port) });
  await once(socket, 'connect');
  socket.destroy();
  return true;
}
