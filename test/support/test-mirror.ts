import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Registry } from 'prom-client';
import { parseConfig } from '../../src/contract/config/config.ts';
import { mirrorSettings } from '../../src/contract/config/mirror-settings.ts';
import { startMirrorServer } from '../../src/mirror/mirror-server.ts';
import { systemClock, type Clock } from '../../src/process/clock.ts';
import { logSink, type LogRecord } from './log-sink.ts';

/** A mirror on a free port of the loopback address. */
export interface TestMirror {
  readonly url: string;
  readonly statusUrl: string;
  readonly folder: string;
  readonly records: readonly LogRecord[];
  readonly clock: ShiftedClock;
  /** Also when the test ends. */
  stop(): Promise<void>;
}

/** Pauses between attempts are shorter than this, timeouts are longer; milliseconds. */
const LONGEST_PAUSE = 10_000;

/** Goes on as time does, and can be put forward. Pauses are short, so that no test waits for a retry. */
class ShiftedClock implements Clock {
  #offset = 0;

  sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    return systemClock.sleep(
      milliseconds < LONGEST_PAUSE ? Math.min(milliseconds, 10) : milliseconds,
      signal,
    );
  }

  now(): number {
    return systemClock.now() + this.#offset;
  }

  monotonic(): number {
    return systemClock.monotonic() + this.#offset;
  }

  advance(milliseconds: number): void {
    this.#offset += milliseconds;
  }
}

/**
 * @param sections of the configuration, beside storage and listeners; `{folder}` in them is the folder of this mirror.
 * @param options.folder of one that has ended, to go on with
 */
export async function startTestMirror(
  t: TestContext,
  sections: {
    readonly http?: object;
    readonly stevedore?: object;
    readonly [section: string]: object | undefined;
  },
  options: { readonly folder?: string; readonly prepare?: (folder: string) => void } = {},
): Promise<TestMirror> {
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'mirror-'));
  const cleanup = new AsyncDisposableStack();
  t.after(() => cleanup.disposeAsync());
  if (options.folder === undefined) cleanup.defer(() => rmSync(folder, { recursive: true, force: true }));
  options.prepare?.(folder);
  const document = {
    version: 0.1,
    log: { formatter: 'json' },
    storage: { filesystem: { rootdirectory: join(folder, 'storage') } },
    ...sections,
    // As in test-registry.ts.
    http: { addr: '127.0.0.1:0', draintimeout: '50ms', ...sections.http },
    stevedore: { status: { addr: '127.0.0.1:0' }, ...sections.stevedore },
  };
  // JSON, which YAML takes in.
  const { config, errors } = parseConfig(JSON.stringify(document).replaceAll('{folder}', folder));
  const settings = config && mirrorSettings(config);
  if (config === undefined || settings === undefined) throw new Error(JSON.stringify(errors));
  const { log, records } = logSink();
  const clock = new ShiftedClock();
  const server = await startMirrorServer(
    {
      config,
      configHash: 'hash',
      environment: {},
      version: '0.0.0',
      clock,
      log,
      metrics: new Registry(),
      stdout: { write: () => undefined },
    },
    settings,
  );
  cleanup.defer(() => server.stop());
  return {
    url: `${config.http.tls === undefined ? 'http' : 'https'}://${server.address}`,
    statusUrl: `http://${server.statusAddress}`,
    folder,
    records,
    clock,
    stop: () => server.stop(),
  };
}
