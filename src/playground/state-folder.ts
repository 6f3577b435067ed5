import { mkdir, realpath, rename, writeFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:net';

/** Where a playground keeps everything, so that the next start goes on where this one ended. */
export interface StateFolder {
  readonly path: string;
  /** Lets another playground have the folder. */
  release(): Promise<void>;
}

/** Another playground has the folder. */
export class FolderInUseError extends Error {
  override readonly name = 'FolderInUseError';
}

/**
 * Opens or makes the folder and takes it for this process alone.
 * @throws {FolderInUseError}
 */
export async function openStateFolder(folder: string): Promise<StateFolder> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = await realpath(folder);
  const lock = await takeLock(path);
  return { path, release: () => new Promise((resolve) => lock.close(() => resolve())) };
}

/** Writes a file that only its owner may read, whole or not at all. */
export async function replaceFile(path: string, content: string): Promise<void> {
  await writeFile(`${path}.new`, content, { mode: 0o600 });
  await rename(`${path}.new`, path);
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
