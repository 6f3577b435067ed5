import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { Registry } from 'prom-client';
import { parseConfig, type Config } from '../../src/contract/config/config.ts';
import { systemClock } from '../../src/process/clock.ts';
import { startRegistryServer } from '../../src/registry/server.ts';
import type { RegistryServer } from '../../src/registry/serve-api.ts';
import { logSink, type LogRecord } from './log-sink.ts';

/** A registry on a free port of the loopback address. */
export interface TestRegistry {
  readonly server: RegistryServer;
  readonly url: string;
  readonly statusUrl: string;
  readonly folder: string;
  readonly records: LogRecord[];
  /** The log of requests where `REGISTRY_LOG_FORMATTER` is `text`; else its lines are records. */
  readonly accessLines: readonly string[];
}

/** With it the registry runs in so many processes of their own, instead of in this one. */
const workers = process.env['STEVEDORE_TEST_WORKERS'];

/**
 * @param overrides as in the environment: `REGISTRY_STORAGE_DELETE_ENABLED: 'false'`. Deletes are on unless said.
 * `{folder}` in a value is the folder of this registry.
 */
export async function startTestRegistry(
  t: TestContext,
  overrides: Readonly<Record<string, string>> = {},
  prepare: (folder: string) => void = () => {},
): Promise<TestRegistry> {
  const folder = mkdtempSync(join(tmpdir(), 'registry-'));
  const cleanup = new AsyncDisposableStack();
  t.after(() => cleanup.disposeAsync());
  cleanup.defer(() => rmSync(folder, { recursive: true, force: true }));
  prepare(folder);
  // A test that is over has idle connections alone, which a server waits for a second to see used again.
  const drainTimeout = workers === undefined ? '50ms' : '60s';
  const text = `
version: 0.1
log: {formatter: json}
storage: {filesystem: {rootdirectory: ${folder}/storage}, delete: {enabled: true}}
http: {addr: "127.0.0.1:0", draintimeout: ${drainTimeout}}
stevedore: {status: {addr: "127.0.0.1:0"}}
`;
  const environment = Object.fromEntries(
    Object.entries(overrides).map(([name, value]) => [name, value.replaceAll('{folder}', folder)]),
  );
  const { config, errors } = parseConfig(text, environment);
  if (config === undefined) throw new Error(JSON.stringify(errors));
  const start = workers === undefined ? startHere(config) : startWorkers(folder, text, environment);
  const { server, records, accessLines } = await start;
  cleanup.defer(() => server.stop());
  const scheme = config.http.tls === undefined ? 'http' : 'https';
  return {
    server,
    url: `${scheme}://${server.address}`,
    statusUrl: `http://${server.statusAddress}`,
    folder,
    records,
    accessLines,
  };
}

type Started = Pick<TestRegistry, 'server' | 'records' | 'accessLines'>;

async function startHere(config: Config): Promise<Started> {
  const { log, records } = logSink();
  const accessLines: string[] = [];
  const server = await startRegistryServer({
    config,
    configHash: 'hash',
    environment: {},
    version: '0.0.0',
    clock: systemClock,
    log,
    metrics: new Registry(),
    stdout: { write: (text) => void accessLines.push(...text.trimEnd().split('\n')) },
  });
  return { server, records, accessLines };
}

async function startWorkers(
  folder: string,
  yaml: string,
  environment: Readonly<Record<string, string>>,
): Promise<Started> {
  const file = join(folder, 'config.yml');
  writeFileSync(file, yaml);
  const child = spawn(process.execPath, [join(import.meta.dirname, '../../src/main.ts'), 'serve', file], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      REGISTRY_LOG_LEVEL: 'debug',
      ...environment,
      REGISTRY_STEVEDORE_WORKERS: workers,
    },
  });
  const records: LogRecord[] = [];
  const accessLines: string[] = [];
  const ended = once(child, 'exit');
  createInterface({ input: child.stdout }).on('line', (line) => accessLines.push(line));
  const listening = new Promise<LogRecord>((resolve, reject) => {
    const told: string[] = [];
    createInterface({ input: child.stderr }).on('line', (line) => {
      told.push(line);
      const record = readLine(line);
      records.push(record);
      if (record.message === 'listening') resolve(record);
    });
    void ended.then(() => reject(new Error(`the registry has ended: ${told.join('\n')}`)));
  });
  const { address, status, debug } = await listening;
  const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
  const server = {
    address: text(address) ?? '',
    statusAddress: text(status),
    debugAddress: text(debug),
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
  return { server, records, accessLines };
}

/** A line of the log, whose formatter a test may have chosen. */
function readLine(line: string): LogRecord {
  if (line.startsWith('{')) return JSON.parse(line) as LogRecord; // the logger writes objects
  const pairs = [...line.matchAll(/(\w+)=("(?:[^"\\]|\\.)*"|\S*)/g)];
  const fields = pairs.map(([, key = '', value = '']) => [
    key === 'msg' ? 'message' : key,
    value.startsWith('"') ? (JSON.parse(value) as string) : value,
  ]);
  return { level: '', message: '', ...Object.fromEntries(fields) } as LogRecord; // has all that a record must have
}
