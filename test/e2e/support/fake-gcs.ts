import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { decodeObject, type Raw } from '../../../src/contract/config/decode.ts';
import { gcsSection, type GcsOptions } from '../../../src/contract/config/gcs-section.ts';
import { script } from '../cluster.ts';
import { waitFor } from '../wait.ts';

/** An emulator of Google Cloud Storage, in memory: github.com/fsouza/fake-gcs-server. */
export interface FakeGcs extends AsyncDisposable {
  readonly url: string;
  /** Makes a bucket. */
  newBucket(): Promise<string>;
}

export async function startFakeGcs(): Promise<FakeGcs> {
  const program = (await script('tools', ['fake-gcs'])).trim();
  const args = [
    '-scheme',
    'http',
    '-host',
    '127.0.0.1',
    '-port',
    '0',
    '-backend',
    'memory',
    '-log-level',
    'error',
  ];
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const host = `127.0.0.1:${await listeningPort(child)}`;
  const url = `http://${host}`;
  const ask = async (method: string, path: string, body: object): Promise<void> => {
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(url + path, { method, headers, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`fake-gcs-server answered ${answer.status}: ${await answer.text()}`);
  };
  // Under its public host it takes signed URLs.
  await ask('PUT', '/_internal/config', { publicHost: host, externalUrl: url });
  return {
    url,
    async newBucket() {
      const name = `bucket-${randomUUID()}`;
      await ask('POST', '/storage/v1/b?project=test', { name });
      return name;
    },
    async [Symbol.asyncDispose]() {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** Which port a process listens on: it does not tell when it was asked for any. */
async function listeningPort(child: ChildProcess): Promise<number> {
  return waitFor('a port that fake-gcs-server listens on', async () => {
    if (child.exitCode !== null) throw new Error(`fake-gcs-server ended with ${child.exitCode}`);
    const folder = `/proc/${child.pid}/fd`;
    const links = await Promise.all(
      (await readdir(folder)).map((name) => readlink(`${folder}/${name}`).catch(() => '')),
    );
    const sockets = new Set(links.map((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1]));
    for (const line of (await readFile('/proc/net/tcp', 'utf8')).split('\n').slice(1)) {
      const [, local = '', , state, , , , , , inode] = line.trim().split(/\s+/);
      if (state === '0A' && sockets.has(inode)) return Number.parseInt(local.split(':')[1] ?? '', 16);
    }
    return undefined;
  });
}

/** Options as a configuration would give them. */
export function gcsOptions(raw: Readonly<Record<string, Raw>>): GcsOptions {
  const found = { errors: [], warnings: [], notices: [], files: [] };
  // The decoder follows the schema, which is what the type is inferred from.
  const options = decodeObject(gcsSection, raw, 'storage.gcs', found) as GcsOptions;
  if (found.errors.length > 0) throw new Error(JSON.stringify(found.errors));
  return options;
}
