import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Registry } from 'prom-client';
import { parseConfig } from '../../src/contract/config/config.ts';
import { systemClock } from '../../src/process/clock.ts';
import { startRegistryServer, type RegistryServer } from '../../src/registry/server.ts';
import { logSink, type LogRecord } from './log-sink.ts';

/** A registry in this process, on a free port of the loopback address. */
export interface TestRegistry {
  readonly server: RegistryServer;
  readonly url: string;
  readonly statusUrl: string;
  readonly folder: string;
  readonly records: LogRecord[];
  /** The log of requests where `REGISTRY_LOG_FORMATTER` is `text`; else its lines are records. */
  readonly accessLines: readonly string[];
}

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
  const text = `
version: 0.1
log: {formatter: json}
storage: {filesystem: {rootdirectory: ${folder}/storage}, delete: {enabled: true}}
http: {addr: "127.0.0.1:0"}
stevedore: {status: {addr: "127.0.0.1:0"}}
`;
  const environment = Object.fromEntries(
    Object.entries(overrides).map(([name, value]) => [name, value.replaceAll('{folder}', folder)]),
  );
  const { config, errors } = parseConfig(text, environment);
  if (config === undefined) throw new Error(JSON.stringify(errors));
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
