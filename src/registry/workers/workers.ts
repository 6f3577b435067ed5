import type { Registry } from 'prom-client';
import type { StatusDocument } from '../../contract/status-document.ts';
import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';
import type { HealthReport } from '../health/health-monitor.ts';
import { startInternalListeners } from '../http/internal-listeners.ts';
import type { ServerFacts } from '../http/status-pages.ts';
import { removeStaleSocket } from '../http/stale-socket.ts';
import type { Notifications } from '../notifications/notifications.ts';
import type { RegistryServer } from '../serve-api.ts';
import { openWebhooks } from '../server.ts';
import type { PrimaryCalls, WorkerCalls, WorkerSettings } from './calls.ts';
import { Channel, ChannelClosedError, type Port } from './channel.ts';
import { mergeHealth, mergeMetrics, mergeStatus } from './merge-facts.ts';
import { UploadOwners } from './upload-owners.ts';
import { WorkerLocks } from './worker-locks.ts';

/** A worker that ends is replaced after this long, and after twice as long each time that it does not last; milliseconds. */
const SHORTEST_PAUSE = 100;
const LONGEST_PAUSE = 30_000;
/** A worker that took requests for so long was well; milliseconds. */
const LASTED = 60_000;
/** Beyond `http.draintimeout`, what a worker gets for its other work before it is killed; milliseconds. */
const STOPS_WITHIN = 15_000;

/** A process that runs the same program as a worker. */
export interface WorkerProcess {
  readonly port: Port;
  /** How it ended, when it has: its exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
  kill(): void;
}

export interface WorkersDependencies extends WorkerSettings {
  readonly clock: Clock;
  readonly log: Logger;
  /** Of the primary. */
  readonly metrics: Registry;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Starts worker `number`, 1 and up. All share what one of them listens on. */
  readonly fork: (number: number) => WorkerProcess;
}

/** A worker ended before it took requests, and has said why. */
export class WorkerStartError extends Error {
  override readonly name = 'WorkerStartError';
  readonly code: number | string;
  constructor(code: number | string) {
    super(`a worker ended with ${code} before it could start`);
    this.code = code;
  }
}

interface Worker {
  readonly number: number;
  readonly process: WorkerProcess;
  readonly channel: Channel<PrimaryCalls, WorkerCalls>;
  /** Resolves with its address when it takes requests. */
  readonly started: Promise<string>;
  takesRequests: boolean;
}

/**
 * Starts `stevedore.workers` processes that share the port, and answers for all of them on the listeners for status and
 * debugging.
 * @throws ServerConfigError, ListenError; WorkerStartError when a worker cannot start
 */
export async function startWorkers(deps: WorkersDependencies): Promise<RegistryServer> {
  const { config, log } = deps;
  await using started = new AsyncDisposableStack();
  const notifications = openWebhooks(deps);
  if (notifications) started.defer(() => notifications.stop());
  const workers = new Workers(deps, notifications);
  started.defer(() => workers.stop());
  let draining = false;
  const internal = started.use(
    await startInternalListeners(config, workers, { log, draining: () => draining }),
  );
  // Workers share one listener that this process has: a worker would take it for somebody else's.
  if (config.http.net === 'unix') await removeStaleSocket(config.http.addr);
  const address = await workers.start();
  const parts = started.move();
  const { statusAddress, debugAddress } = internal;
  log.info(
    {
      address,
      tls: config.http.tls !== undefined,
      status: statusAddress,
      debug: debugAddress,
      workers: config.stevedore.workers,
    },
    'listening',
  );
  return {
    address,
    statusAddress,
    debugAddress,
    async stop() {
      draining = true;
      await workers.stop();
      await parts.disposeAsync();
    },
  };
}

class Workers implements ServerFacts {
  readonly #deps: WorkersDependencies;
  /** By number. */
  readonly #running = new Map<number, Worker>();
  readonly #owners: UploadOwners;
  readonly #locks = new WorkerLocks<Worker>();
  readonly #stopping = new AbortController();
  /** All webhooks are told by one process, for the order of events. */
  readonly #notifications: Notifications | undefined;
  #inService = true;

  constructor(deps: WorkersDependencies, notifications: Notifications | undefined) {
    this.#deps = deps;
    this.#notifications = notifications;
    this.#owners = new UploadOwners(async (number, folder) => {
      const worker = this.#running.get(number);
      // One that ends in the middle has nothing in memory any more either.
      return (await worker?.channel.call('handOver', folder).catch(() => undefined)) ?? { outcome: 'free' };
    });
  }

  /** The first one alone: what is wrong with the configuration is told once. @returns the address. */
  async start(): Promise<string> {
    const [first, ...others] = Array.from(
      { length: this.#deps.config.stevedore.workers },
      (_, index) => index + 1,
    );
    const address = await this.#keep(first ?? 1).started;
    await Promise.all(others.map((number) => this.#keep(number).started));
    return address;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    const { clock, config, log } = this.#deps;
    const workers = [...this.#running.values()];
    // Who does not hear it is no more.
    for (const { channel } of workers) channel.call('stop').catch(() => {});
    const late = new AbortController();
    const killing = clock.sleep(config.http.draintimeout + STOPS_WITHIN, late.signal).then(
      () => {
        for (const { number, process } of this.#running.values()) {
          log.error({ worker: number }, 'a worker does not stop and is killed');
          process.kill();
        }
      },
      () => {},
    );
    await Promise.all(workers.map(({ process }) => process.ended));
    late.abort();
    await killing;
  }

  async status(): Promise<StatusDocument> {
    const [first, ...others] = await this.#ask(({ channel }) => channel.call('status'));
    if (first === undefined) throw new Error('no worker is running');
    const notifications = this.#notifications?.status();
    return { ...mergeStatus([first, ...others]), ...(notifications && { notifications }) };
  }

  async health(): Promise<HealthReport> {
    return mergeHealth(await this.#ask(({ channel }) => channel.call('health')));
  }

  async setInService(inService: boolean): Promise<void> {
    this.#inService = inService;
    await this.#ask(({ channel }) => channel.call('setInService', inService));
  }

  async metrics(): Promise<string> {
    const ofWorkers = await mergeMetrics(await this.#ask(({ channel }) => channel.call('metrics')));
    return `${ofWorkers}\n${await this.#deps.metrics.metrics()}`;
  }

  /** Answers of the workers that are there; one that ends meanwhile gives none. */
  async #ask<T>(question: (worker: Worker) => Promise<T>): Promise<T[]> {
    const workers = [...this.#running.values()].filter(({ takesRequests }) => takesRequests);
    const answers = await Promise.all(
      workers.map(async (worker) => {
        try {
          return [await question(worker)];
        } catch (error) {
          if (error instanceof ChannelClosedError) return [];
          throw error;
        }
      }),
    );
    return answers.flat();
  }

  /** Starts a worker, and others in its place when it ends. */
  #keep(number: number): Worker {
    const worker = this.#fork(number);
    void this.#replace(worker);
    return worker;
  }

  async #replace(first: Worker): Promise<void> {
    const { clock, log } = this.#deps;
    let pause = SHORTEST_PAUSE;
    for (let worker = first; ; worker = this.#fork(first.number)) {
      const began = clock.monotonic();
      const code = await worker.process.ended;
      this.#forget(worker);
      if (this.#stopping.signal.aborted || (worker === first && !worker.takesRequests)) return;
      log.error({ worker: worker.number, code }, 'a worker has ended and is replaced');
      pause = clock.monotonic() - began >= LASTED ? SHORTEST_PAUSE : Math.min(2 * pause, LONGEST_PAUSE);
      try {
        await clock.sleep(pause, this.#stopping.signal);
      } catch {
        return;
      }
    }
  }

  #fork(number: number): Worker {
    const process = this.#deps.fork(number);
    const address = Promise.withResolvers<string>();
    address.promise.catch(() => {}); // Only who starts the server waits for it.
    const worker: Worker = {
      number,
      process,
      started: address.promise,
      takesRequests: false,
      channel: new Channel<PrimaryCalls, WorkerCalls>(process.port, {
        settings: () => {
          const { config, configHash, configFile } = this.#deps;
          return { config, configHash, configFile };
        },
        started: (at) => {
          worker.takesRequests = true;
          if (!this.#inService) worker.channel.call('setInService', false).catch(() => {});
          address.resolve(at);
        },
        claim: (upload) => this.#owners.claim(upload, number),
        leave: (folder) => this.#owners.leave(folder, number),
        lock: (key) => this.#locks.lock(worker, key),
        unlock: (key) => this.#locks.unlock(worker, key),
        take: (event) => this.#notifications?.take(event),
      }),
    };
    this.#running.set(number, worker);
    process.ended.then((code) => address.reject(new WorkerStartError(code)), address.reject);
    return worker;
  }

  #forget(worker: Worker): void {
    this.#running.delete(worker.number);
    this.#owners.forgetWorker(worker.number);
    this.#locks.forget(worker);
  }
}
