import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { StatusDocument } from '../../../src/contract/status-document.ts';
import { startServe, type ServeProcess } from '../../support/serve-process.ts';
import { killProcess, startCollector, type CollectorProcess } from '../collector-process.ts';
import { HttpRegistry } from '../http-registry.ts';
import { createBucket } from '../s3-bucket.ts';
import { testRandom, type SeededRandom } from '../seeded-random.ts';
import { waitFor } from '../wait.ts';
import { TornRegistry, TortureClient } from './torture-client.ts';

const SERVERS = 3;
const CLIENTS = 8;
const COLLECTORS_AT_ONCE = 3;
const COLLECT_EVERY_MS = 3_000;
const HARM_EVERY_MS = 4_000;
const LONGEST_PAUSE_MS = 60_000;
/** A killed collector leaves its lease to lapse, and writes wait for that. */
const KILL_COLLECTOR_EVERY_MS = 90_000;
/** As long as the last lease may last. */
const RECOVERY_MS = 60_000;

interface TortureOptions {
  readonly seconds: number;
  /** The `storage` section; without it a folder. */
  readonly storage?: object;
  /** What must have happened, so that the test shows something. */
  readonly atLeast: {
    readonly images: number;
    readonly sweeps: number;
    readonly kills: number;
    readonly pauses: number;
  };
}

/** The test on a file system, and on a bucket of the Ceph gateway. */
export function testTorture(seconds: number, atLeast: TortureOptions['atLeast']): void {
  const timeout = (seconds + 300) * 1000;
  test(
    `no image is lost on a file system while processes are killed and stopped for ${seconds} s`,
    { timeout },
    (t) => torture(t, { seconds, atLeast }),
  );
  test(
    `no image is lost in a bucket while processes are killed and stopped for ${seconds} s`,
    { timeout },
    async (t) => {
      const { config } = await createBucket();
      const storage = { filesystem: undefined, s3: config, redirect: { disable: true } };
      await torture(t, { seconds, atLeast, storage });
    },
  );
}

/**
 * Three servers, eight clients and one collection after the other with no minimum age, while processes are killed and
 * stopped at random. A minute after the last of that every image that was acknowledged is there, and nothing is read-only.
 */
async function torture(t: TestContext, options: TortureOptions): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'torture-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const random = testRandom(t);
  const site = new Site(t, folder, options.storage ?? {}, random);
  await site.start();
  const layers = Array.from({ length: 10 }, () => random.bytes(random.integer(300_000)));
  const clients = Array.from(
    { length: CLIENTS },
    (_, index) =>
      new TortureClient(`torture/client-${index}`, {
        registry: () => site.anyRegistry(),
        layers,
        random: random.fork(`client-${index}`),
      }),
  );
  for (const client of clients) client.meet(clients.filter((other) => other !== client));

  const started = performance.now();
  const end = started + options.seconds * 1000;
  const goOn = (): boolean => performance.now() < end;
  await Promise.all([
    site.collectWhile(goOn),
    site.harmUntil(end),
    ...clients.map((client) => client.workWhile(goOn, () => delay(200))),
  ]);

  const began = performance.now();
  await site.recover();
  const recovered = Math.round((performance.now() - began) / 1000);
  let verified = 0;
  for (const client of clients)
    for (const url of site.urls()) verified += await client.verify(new HttpRegistry(url));

  const held = site.heldShare(performance.now() - started);
  const sum = (of: (client: TortureClient) => number): number =>
    clients.reduce((total, client) => total + of(client), 0);
  const { sweeps, kills, pauses, results } = site;
  const pushed = sum((client) => client.pushed);
  t.diagnostic(
    `${pushed} images acknowledged, ${sum(({ deleted }) => deleted)} deleted; ` +
      `${sum(({ interrupted }) => interrupted)} requests interrupted, ${sum(({ overtaken }) => overtaken)} pushes overtaken`,
  );
  t.diagnostic(
    `collections: ${[...results].map(([result, count]) => `${count} ${result}`).join(', ')}; ${sweeps} deleted something`,
  );
  t.diagnostic(
    `writes were held for ${held} % of the time; runs that ended well held them for ${Math.round(site.heldSeconds)} s`,
  );
  for (const failure of site.failures) t.diagnostic(`Failed: ${failure}`);
  t.diagnostic(`${kills} kills, ${pauses} pauses; writable again ${recovered} s after the last of them`);
  t.diagnostic(`${verified} pulls of tagged images, bit by bit the same at all servers`);
  const { atLeast } = options;
  assert.ok(pushed >= atLeast.images, `only ${pushed} images`);
  assert.ok(sweeps >= atLeast.sweeps, `only ${sweeps} sweeps`);
  assert.ok(kills >= atLeast.kills && pauses >= atLeast.pauses, `only ${kills} kills and ${pauses} pauses`);
}

class Site {
  readonly #t: TestContext;
  readonly #folder: string;
  readonly #storage: object;
  readonly #random: SeededRandom;
  readonly #servers: ServeProcess[] = [];
  /** Those that were killed. */
  readonly #former: ServeProcess[] = [];
  readonly #collectors = new Set<CollectorProcess>();
  /** Processes that go on later, or come again. */
  readonly #away = new Set<Promise<void>>();
  readonly results = new Map<string, number>();
  /** What the runs said that failed. */
  readonly failures = new Set<string>();
  /** Seconds, by the reports of the runs. */
  heldSeconds = 0;
  sweeps = 0;
  kills = 0;
  pauses = 0;

  constructor(t: TestContext, folder: string, storage: object, random: SeededRandom) {
    this.#t = t;
    this.#folder = folder;
    this.#storage = storage;
    this.#random = random.fork('site');
  }

  async start(): Promise<void> {
    for (let index = 0; index < SERVERS; index++) this.#servers.push(await this.#serve());
  }

  urls(): readonly string[] {
    return this.#servers.map(({ url }) => url);
  }

  anyRegistry(): TornRegistry {
    const server = this.#servers[this.#random.integer(SERVERS)];
    assert.ok(server);
    return new TornRegistry(server.url);
  }

  async collectWhile(goOn: () => boolean): Promise<void> {
    while (goOn()) {
      if (this.#collectors.size < COLLECTORS_AT_ONCE) this.#collect();
      await delay(COLLECT_EVERY_MS);
    }
  }

  /** Kills and stops processes at random; those that were stopped go on before it is over. */
  async harmUntil(end: number): Promise<void> {
    let collectorDied = performance.now();
    while (performance.now() < end) {
      await delay(this.#random.integer(2 * HARM_EVERY_MS));
      const left = Math.max(0, end - performance.now());
      const collector = [...this.#collectors][this.#random.integer(COLLECTORS_AT_ONCE)];
      const mayKill = performance.now() - collectorDied > KILL_COLLECTOR_EVERY_MS;
      const choice = this.#random.integer(10);
      if (choice < 4) {
        this.#killServer(this.#random.integer(SERVERS));
      } else if (choice === 8 && collector !== undefined) {
        this.#pause(collector.process, left);
      } else if (choice === 9 && collector !== undefined && mayKill) {
        collectorDied = performance.now();
        this.kills++;
        await collector.kill();
      } else {
        this.#pause(this.#servers[this.#random.integer(SERVERS)]?.process, left);
      }
    }
    await Promise.all(this.#away);
  }

  /** Waits until every server takes writes. */
  async recover(): Promise<void> {
    // A run that is asked to end releases its lease.
    for (const { process } of this.#collectors) process.kill('SIGTERM');
    await waitFor(
      'no server is read-only',
      async () => {
        const states = await Promise.all(this.#servers.map(({ statusUrl }) => readOnlyState(statusUrl)));
        return states.every((active) => !active);
      },
      { timeout: RECOVERY_MS },
    );
  }

  /** Percent of the time that the servers held writes, by what they say. @param milliseconds that they were there. */
  heldShare(milliseconds: number): number {
    const records = [...this.#servers, ...this.#former].flatMap((server) => server.records);
    const held = records
      .filter(({ message }) => message === 'writes are free again')
      .reduce((sum, record) => sum + Number(record['heldMilliseconds']), 0);
    return Math.round((100 * held) / (milliseconds * SERVERS));
  }

  #serve(): Promise<ServeProcess> {
    return startServe(this.#t, { folder: this.#folder, storage: this.#storage });
  }

  #collect(): void {
    const options = [
      ...(this.#random.integer(2) === 0 ? [] : ['--trash-grace=5s']),
      ...(this.#random.integer(2) === 0 ? [] : ['--delete-untagged']),
    ];
    const collector = startCollector(this.#t, join(this.#folder, 'config.yml'), options);
    this.#collectors.add(collector);
    collector.ended
      .then(
        ({ result, message, blobsDeleted, readOnlySeconds }) => {
          this.heldSeconds += readOnlySeconds;
          if (blobsDeleted > 0) this.sweeps++;
          if (result === 'Failed') this.failures.add(message);
          return result;
        },
        () => 'killed',
      )
      .then((result) => {
        this.results.set(result, (this.results.get(result) ?? 0) + 1);
        this.#collectors.delete(collector);
      })
      .catch(() => undefined);
  }

  #killServer(index: number): void {
    const server = this.#servers[index];
    if (server === undefined || hasEnded(server.process)) return;
    this.kills++;
    const restart = async (): Promise<void> => {
      await killProcess(server.process);
      this.#former.push(server);
      await delay(this.#random.integer(2_000));
      this.#servers[index] = await this.#serve();
    };
    this.#awaitLater(restart());
  }

  #pause(process: ChildProcess | undefined, left: number): void {
    if (process === undefined || hasEnded(process)) return;
    this.pauses++;
    process.kill('SIGSTOP');
    // Most stops are short, some as long as a lease.
    const longest = this.#random.integer(5) === 0 ? LONGEST_PAUSE_MS : 3_000;
    this.#awaitLater(
      delay(Math.min(left, this.#random.integer(longest))).then(() => void process.kill('SIGCONT')),
    );
  }

  #awaitLater(over: Promise<void>): void {
    this.#away.add(over);
    over.finally(() => this.#away.delete(over)).catch(() => undefined);
  }
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

async function readOnlyState(statusUrl: string): Promise<boolean> {
  const response = await fetch(`${statusUrl}/status`);
  return ((await response.json()) as StatusDocument).readOnly.active; // what the server documents
}
