import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { digestOf, type Digest } from '../../../src/oci/digest.ts';
import { startServe } from '../../support/serve-process.ts';
import { Acknowledged } from '../acknowledged.ts';
import { HttpRegistry, isBrokenConnection, randomImage, randomWay } from '../http-registry.ts';
import { testRandom, type SeededRandom } from '../seeded-random.ts';

const PUSHERS = 4;

/**
 * Kills a server at random moments while clients push, mount, tag and delete, starts it anew, and asks for what was
 * acknowledged in the round before; at the end for all of it.
 * @param options.storage the `storage` section; without it a folder.
 * @param options.leastARound what a store has to acknowledge between two kills for the test to say something.
 */
export async function killAtRandomMoments(
  t: TestContext,
  rounds: number,
  { storage, leastARound = 20 }: { readonly storage?: object; readonly leastARound?: number } = {},
): Promise<void> {
  const random = testRandom(t);
  const folder = mkdtempSync(join(tmpdir(), 'kill-server-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const start = () => startServe(t, { ...(storage && { storage }), folder });
  const ledgers: Acknowledged[] = [];
  let resumed = 0;
  let lastUpload: OpenUpload | undefined;
  for (let round = 0; round < rounds; round++) {
    const server = await start();
    const registry = new HttpRegistry(server.url);
    await ledgers.at(-1)?.verify(registry);
    const ledger = new Acknowledged();
    ledgers.push(ledger);
    if (lastUpload !== undefined && (await goOn(registry, lastUpload, ledger))) resumed++;

    const upload = new OpenUpload(random.bytes(2_000_000));
    const clients = [
      ...Array.from({ length: PUSHERS }, (_, index) =>
        pushUntilItBreaks(
          registry,
          ledger,
          `round-${round}/client-${index}`,
          random.fork(`${round}.${index}`),
        ),
      ),
      sendUntilItBreaks(registry, upload),
    ];
    await delay(100 + random.integer(900));
    server.process.kill('SIGKILL');
    await once(server.process, 'exit');
    await Promise.all(clients);
    lastUpload = upload;
  }
  const server = await start();
  for (const ledger of ledgers) await ledger.verify(new HttpRegistry(server.url));
  const total = ledgers.reduce((sum, { size }) => sum + size, 0);
  t.diagnostic(`${total} blobs, manifests, tags and deletes; ${resumed} uploads went on after the kill`);
  assert.ok(total > rounds * leastARound, `only ${total} were acknowledged`);
  assert.ok(resumed > 0, 'no upload went on');
}

/** Pushes images, mounts blobs, moves tags and deletes, and notes what is acknowledged, until the server is gone. */
async function pushUntilItBreaks(
  registry: HttpRegistry,
  ledger: Acknowledged,
  repository: string,
  random: SeededRandom,
): Promise<void> {
  await untilItBreaks(async () => {
    for (;;) {
      const { blobs, manifest } = randomImage(random);
      for (const blob of blobs)
        ledger.blob(repository, await registry.pushBlob(repository, blob, randomWay(random)));
      const tag = `tag-${random.integer(4)}`;
      const digest = digestOf(manifest);
      ledger.willTag(repository, tag, digest);
      await registry.pushManifest(repository, tag, manifest);
      ledger.tagged(repository, tag, digest);
      const [layer] = blobs;
      if (layer !== undefined && random.integer(3) === 0) {
        const elsewhere = `${repository}/mounted`;
        ledger.blob(elsewhere, await registry.mount(elsewhere, repository, digestOf(layer)));
      }
      if (random.integer(6) > 0) continue;
      ledger.willDelete(repository, digest, tag);
      await registry.send('DELETE', `/v2/${repository}/manifests/${digest}`, { expect: 202 });
      ledger.deleted(repository, digest, tag);
    }
  });
}

/** A blob that is being sent in chunks. */
class OpenUpload {
  readonly repository = 'open/upload';
  readonly bytes: Buffer;
  readonly digest: Digest;
  location: string | undefined;
  /** Bytes that were begun to be sent. */
  sent = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
    this.digest = digestOf(bytes);
  }
}

const CHUNK = 100_000;

async function sendUntilItBreaks(registry: HttpRegistry, upload: OpenUpload): Promise<void> {
  await untilItBreaks(async () => {
    upload.location = await registry.startUpload(upload.repository);
    // The last chunk is never sent.
    while (upload.sent + CHUNK < upload.bytes.length) {
      const start = upload.sent;
      upload.sent += CHUNK;
      upload.location = await registry.patch(
        upload.location,
        upload.bytes.subarray(start, upload.sent),
        start,
      );
    }
  });
}

/** Goes on with an upload where the server says that it is. A server may also have forgotten it, as its 202 was no promise. */
async function goOn(registry: HttpRegistry, upload: OpenUpload, ledger: Acknowledged): Promise<boolean> {
  if (upload.location === undefined) return false;
  const { status, headers } = await registry.send('GET', upload.location);
  if (status === 404) return false;
  assert.equal(status, 204);
  const last = Number(/^0-(\d+)$/.exec(headers.get('range') ?? '')?.[1]);
  const start = last === 0 ? 0 : last + 1;
  assert.ok(start <= upload.sent, `the server has ${start} bytes of ${upload.sent}`);
  const location = await registry.patch(upload.location, upload.bytes.subarray(start), start);
  await registry.finish(location, upload.digest);
  ledger.blob(upload.repository, upload.digest);
  return true;
}

/** A connection that breaks is what is waited for; a wrong answer is none. */
async function untilItBreaks(action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    if (!isBrokenConnection(error)) throw error;
  }
}
