import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { hashSync } from '@node-rs/bcrypt';
import type { LogRecord } from './log-sink.ts';
import type { TestAuthority } from './test-authority.ts';

const root = join(import.meta.dirname, '../..');

/** `stevedore serve` as a process of its own, on free ports of the loopback address or another one. */
export interface ServeProcess {
  /** `127.0.0.1:port`. */
  readonly address: string;
  readonly statusUrl: string;
  readonly url: string;
  /** Certificate, key, users and storage lie here. */
  readonly folder: string;
  readonly process: ChildProcess;
  /** Lines of its log so far. */
  readonly records: readonly LogRecord[];
}

/** Writes a configuration with `http` and more merged in, starts the server and waits until it listens. */
export async function startServe(
  t: TestContext,
  options: {
    readonly tls?: TestAuthority;
    /** An address of this machine, 127.0.0.1 unless said. */
    readonly host?: string;
    readonly users?: Readonly<Record<string, string>>;
    /** Goes into the `storage` section. */
    readonly storage?: object;
    readonly environment?: Readonly<Record<string, string>>;
    /** An old folder to go on with. */
    readonly folder?: string;
  } = {},
): Promise<ServeProcess> {
  const { host = '127.0.0.1' } = options;
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'serve-'));
  if (options.tls !== undefined) writePair(folder, await options.tls.issue(['localhost'], host));
  if (options.users !== undefined) writeUsers(folder, options.users);
  const config = {
    version: 0.1,
    log: { level: 'debug', formatter: 'json' },
    storage: {
      filesystem: { rootdirectory: join(folder, 'storage') },
      delete: { enabled: true },
      ...options.storage,
    },
    http: {
      addr: `${host}:0`,
      ...(options.tls && { tls: { certificate: join(folder, 'tls.crt'), key: join(folder, 'tls.key') } }),
    },
    ...(options.users && { auth: { htpasswd: { realm: 'test', path: join(folder, 'htpasswd') } } }),
    stevedore: { status: { addr: '127.0.0.1:0' } },
  };
  const file = join(folder, 'config.yml');
  writeFileSync(file, JSON.stringify(config)); // which YAML takes in
  const child = spawn(process.execPath, [join(root, 'src/main.ts'), 'serve', file], {
    stdio: ['ignore', 'inherit', 'pipe'],
    env: { PATH: process.env['PATH'], ...options.environment },
  });
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    if (options.folder === undefined) rmSync(folder, { recursive: true, force: true });
  });
  const records: LogRecord[] = [];
  const listening = new Promise<LogRecord>((resolve, reject) => {
    createInterface({ input: child.stderr }).on('line', (line) => {
      if (!line.startsWith('{')) return reject(new Error(line));
      const record = JSON.parse(line) as LogRecord; // the logger writes objects
      records.push(record);
      if (record.message === 'listening') resolve(record);
    });
    child.once('exit', (code) => reject(new Error(`serve ended with ${code}: ${JSON.stringify(records)}`)));
  });
  const record = await listening;
  const address = String(record['address']);
  return {
    address,
    url: `${options.tls ? 'https' : 'http'}://${address}`,
    statusUrl: `http://${String(record['status'])}`,
    folder,
    process: child,
    records,
  };
}

export function writePair(
  folder: string,
  pair: { readonly certificate: string; readonly key: string },
): void {
  writeFileSync(join(folder, 'tls.crt'), pair.certificate);
  writeFileSync(join(folder, 'tls.key'), pair.key);
}

/** User and password; cheap hashes, as tests check many. */
export function writeUsers(folder: string, users: Readonly<Record<string, string>>): void {
  const lines = Object.entries(users).map(([user, password]) => `${user}:${hashSync(password, 4)}\n`);
  writeFileSync(join(folder, 'htpasswd'), lines.join(''));
}
