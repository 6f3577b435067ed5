import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { request, type RequestOptions } from 'node:https';
import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { connect, type PeerCertificate } from 'node:tls';
import { script } from './cluster.ts';
import { run, type Outcome } from './command.ts';

export interface User {
  readonly name: string;
  readonly password: string;
}

/** Where a registry is. Its name resolves to `address` in here alone, not on the machine. */
export interface RegistryPlace {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  /** The certificates that are trusted, as PEM. */
  readonly authority: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
  /** The bytes as text. */
  readonly body: string;
}

export interface RequestInput {
  readonly user?: User;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  /** Gives the request up. */
  readonly signal?: AbortSignal;
}

/** One request over TLS, with the certificate checked against the name. */
export function ask(
  place: RegistryPlace,
  method: string,
  path: string,
  input: RequestInput = {},
): Promise<Answer> {
  const open = openRequest(place, method, path, input);
  return open.finish(input.body);
}

/** A request whose body is sent bit by bit. */
export interface OpenRequest {
  /** Resolves when the bytes have left. */
  send(chunk: Buffer): Promise<void>;
  /** Ends the body; resolves with the answer. */
  finish(chunk?: string | Buffer): Promise<Answer>;
}

export function openRequest(
  place: RegistryPlace,
  method: string,
  path: string,
  { user, headers, signal }: RequestInput = {},
): OpenRequest {
  const options: RequestOptions = {
    host: place.address,
    port: place.port,
    // Node refuses an address here, and checks the certificate against the host then.
    ...(isIP(place.name) === 0 && { servername: place.name }),
    ca: place.authority,
    agent: false,
    method,
    path,
    headers: { host: `${place.name}:${place.port}`, ...headers },
    ...(user !== undefined && { auth: `${user.name}:${user.password}` }),
    ...(signal !== undefined && { signal }),
  };
  const outgoing = request(options);
  const answer = new Promise<Answer>((resolve, reject) => {
    outgoing.on('error', reject);
    outgoing.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const bytes = Buffer.concat(chunks);
        const { statusCode: status = 0, headers } = response;
        resolve({ status, headers, bytes, body: bytes.toString() });
      });
    });
  });
  // Whoever finishes the request hears of the failure; until then nobody listens.
  answer.catch(() => undefined);
  return {
    send: (chunk) =>
      new Promise((resolve, reject) => {
        outgoing.write(chunk, (error) => (error ? reject(error) : resolve()));
      }),
    finish: (chunk) => {
      outgoing.end(chunk);
      return answer;
    },
  };
}

/** Path and query of a Location, which may be a whole URL. */
export function pathOf(location: string | undefined): string {
  if (location === undefined) throw new Error('there is no Location');
  const url = new URL(location, 'https://registry');
  return `${url.pathname}${url.search}`;
}

/** The certificate that is served to a client that asks for `name` and trusts the place's authority. Throws when it does not fit. */
export function servedCertificate(place: RegistryPlace, name: string): Promise<PeerCertificate> {
  return new Promise((resolve, reject) => {
    const { address: host, port, authority: ca } = place;
    const socket = connect({ host, port, servername: name, ca }, () => {
      resolve(socket.getPeerCertificate());
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

/** crane on this place as a user, in a folder of its own for its settings. */
export async function crane(
  place: RegistryPlace,
  folder: string,
  user: User | undefined,
  args: readonly string[],
): Promise<Outcome> {
  const account = createHash('sha256')
    .update(JSON.stringify(user ?? null))
    .digest('hex');
  const home = join(folder, `crane-${account.slice(0, 12)}`);
  await mkdir(home, { recursive: true });
  const auth = user && { auth: Buffer.from(`${user.name}:${user.password}`).toString('base64') };
  const auths = auth === undefined ? {} : { [`${place.name}:${place.port}`]: auth };
  await writeFile(join(home, 'config.json'), JSON.stringify({ auths }));
  await writeFile(join(home, 'ca.crt'), place.authority);
  const program = (await script('tools', ['crane'])).trim();
  const environment = { DOCKER_CONFIG: home, SSL_CERT_FILE: join(home, 'ca.crt'), SSL_CERT_DIR: home };
  return runKnowing(place, home, [program, ...args], environment);
}

/** skopeo on this place as a user: `copy`, from or to it. */
export async function skopeoCopy(
  place: RegistryPlace,
  folder: string,
  user: User,
  [from, to]: readonly [string, string],
): Promise<Outcome> {
  const certificates = join(folder, 'skopeo-certificates');
  await mkdir(certificates, { recursive: true });
  await writeFile(join(certificates, 'ca.crt'), place.authority);
  const side = to.startsWith('docker:') ? 'dest' : 'src';
  const access = [`--${side}-cert-dir=${certificates}`, `--${side}-creds=${user.name}:${user.password}`];
  return runKnowing(place, folder, [
    'skopeo',
    '--insecure-policy',
    'copy',
    '--preserve-digests',
    ...access,
    from,
    to,
  ]);
}

/** In a mount namespace of its own the program sees another /etc/hosts, so that the real name of the place is used. Needs root. */
export async function runKnowing(
  place: RegistryPlace,
  folder: string,
  command: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Outcome> {
  const hosts = join(folder, 'hosts');
  await writeFile(hosts, `127.0.0.1 localhost\n${place.address} ${place.name}\n`);
  const bound = 'mount --bind "$0" /etc/hosts && exec "$@"';
  return run('unshare', ['--mount', 'sh', '-c', bound, hosts, ...command], { environment, timeout: 120_000 });
}
