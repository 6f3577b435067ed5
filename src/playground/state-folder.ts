import { mkdir, readFile, realpath, rename, writeFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { inspectCertificate } from '../pki/inspect.ts';
import { createIdentity, type Identity } from './api-server/identity.ts';

/** What a playground keeps, so that the next start goes on where this one ended. */
export interface StateFolder {
  readonly path: string;
  readonly identity: Identity;
  /** Of the API server, the last time; undefined the first time. */
  readonly port: number | undefined;
  /** Keeps the port for the next start. */
  keepPort(port: number): Promise<void>;
  /** Lets another playground have the folder. */
  release(): Promise<void>;
}

/** Another playground has the folder. */
export class FolderInUseError extends Error {
  override readonly name = 'FolderInUseError';
}

interface Kept {
  readonly identity: Identity;
  readonly port?: number;
}

/** The certificate is made anew when it is good for less than this. */
const LEAST_VALIDITY_MS = 30 * 24 * 3600 * 1000;

/**
 * Opens or makes the folder and takes it for this process alone.
 * @throws {FolderInUseError}
 */
export async function openStateFolder(folder: string, now: number): Promise<StateFolder> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = await realpath(folder);
  const lock = await takeLock(path);
  try {
    const file = join(path, 'identity.json');
    const kept = await readKept(file);
    const isGood =
      kept !== undefined &&
      inspectCertificate(kept.identity.tls.certificate).notAfter - now > LEAST_VALIDITY_MS;
    const identity = isGood ? kept.identity : await createIdentity(now);
    const keep = (port: number | undefined): Promise<void> =>
      replaceFile(file, JSON.stringify({ identity, ...(port !== undefined && { port }) } satisfies Kept));
    if (!isGood) await keep(kept?.port);
    return {
      path,
      identity,
      port: kept?.port,
      keepPort: keep,
      release: () => close(lock),
    };
  } catch (error) {
    await close(lock);
    throw error;
  }
}

/** Writes a file that only its owner may read, whole or not at all. */
export async function replaceFile(path: string, content: string): Promise<void> {
  await writeFile(`${path}.new`, content, { mode: 0o600 });
  await rename(`${path}.new`, path);
}

async function readKept(file: string): Promise<Kept | undefined> {
  try {
    // This program wrote it.
    return JSON.parse(await readFile(file, 'utf8')) as Kept;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** A name among the machine's abstract sockets: it has one holder, and none when that ends, however it ends. */
async function takeLock(path: string): Promise<Server> {
  const name = createHash('sha256').update(path).digest('hex').slice(0, 32);
  const server = createServer((socket) => socket.destroy());
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ path: `\0stevedore-playground-${name}` }, resolve);
  try {
    await promise;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')) throw error;
    throw new FolderInUseError(
      `another playground has its state in ${path}: stop it, or use another --state`,
    );
  }
  // It alone shall not keep the process alive.
  server.unref();
  return server;
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}
