import assert from 'node:assert/strict';
import { digestOf, type Digest } from '../../../src/oci/digest.ts';
import { imageManifest } from '../../support/store-fixture.ts';
import { HttpRegistry, UnexpectedAnswer, isBrokenConnection, type HttpAnswer } from '../http-registry.ts';
import type { SeededRandom } from '../seeded-random.ts';

/** A server that is stopped answers nothing; a client gives up then, as real ones do. Milliseconds. */
const PATIENCE_MS = 20_000;
/** Nobody holds a question back. */
const PATIENCE_WITH_HEAD_MS = 5_000;

const TAGS = 4;
const ABSENT = 'absent';

/** What goes wrong because a process was killed or stopped, or a collection came in the way. */
class Interrupted extends Error {}

/** Throws Interrupted where the outcome of a request is not known or it is to be made again. */
export class TornRegistry extends HttpRegistry {
  override async send(
    method: string,
    path: string,
    options: Parameters<HttpRegistry['send']>[2] = {},
  ): Promise<HttpAnswer> {
    const { expect, ...request } = options;
    const patience = method === 'HEAD' ? PATIENCE_WITH_HEAD_MS : PATIENCE_MS;
    let answer: HttpAnswer;
    try {
      answer = await super.send(method, path, { ...request, signal: AbortSignal.timeout(patience) });
    } catch (cause) {
      if (!isBrokenConnection(cause) && !isTimeout(cause)) throw cause;
      throw new Interrupted('no answer', { cause });
    }
    if (answer.status === 503 || answer.status === 500) throw new Interrupted(answer.bytes.toString());
    if (expect !== undefined && answer.status !== expect)
      throw new UnexpectedAnswer(`${method} ${path}`, answer);
    return answer;
  }
}

interface Image {
  readonly digest: Digest;
  readonly manifest: Buffer;
  /** Config and layers. */
  readonly blobs: readonly Buffer[];
}

/** What a tag may say: the image that was acknowledged last, or none, and what was begun since. */
interface TagState {
  acknowledged: Image | undefined;
  readonly begun: Set<string>;
}

/** Pushes, pushes again, mounts, tags and deletes in a repository of its own, at any of the servers. */
export class TortureClient {
  readonly repository: string;
  readonly #registry: () => TornRegistry;
  readonly #layers: readonly Buffer[];
  readonly #random: SeededRandom;
  readonly #tags = new Map<string, TagState>();
  #others: readonly TortureClient[] = [];
  pushed = 0;
  deleted = 0;
  interrupted = 0;
  overtaken = 0;

  constructor(
    repository: string,
    options: {
      readonly registry: () => TornRegistry;
      readonly layers: readonly Buffer[];
      readonly random: SeededRandom;
    },
  ) {
    this.repository = repository;
    this.#registry = options.registry;
    this.#layers = options.layers;
    this.#random = options.random;
  }

  /** Whom it may mount from. */
  meet(others: readonly TortureClient[]): void {
    this.#others = others;
  }

  async workWhile(goOn: () => boolean, rest: () => Promise<void>): Promise<void> {
    while (goOn()) {
      try {
        await this.#act();
      } catch (error) {
        if (error instanceof Interrupted) this.interrupted++;
        else if (isOvertaken(error)) this.overtaken++;
        else throw error;
        await rest();
      }
    }
  }

  /** Pulls every image that was acknowledged. @returns how many. */
  async verify(registry: HttpRegistry): Promise<number> {
    let verified = 0;
    for (const [tag, { acknowledged, begun }] of this.#tags) {
      const path = `/v2/${this.repository}/manifests/${tag}`;
      const { status, bytes } = await registry.send('GET', path);
      const said = status === 404 ? ABSENT : digestOf(bytes);
      const expected = new Set([acknowledged?.digest ?? ABSENT, ...begun]);
      assert.ok(expected.has(said), `${path} says ${said}, and not one of ${[...expected].join(' ')}`);
      if (acknowledged === undefined || said !== acknowledged.digest) continue;
      for (const blob of acknowledged.blobs) {
        const found = await registry.send('GET', `/v2/${this.repository}/blobs/${digestOf(blob)}`, {
          expect: 200,
        });
        assert.ok(found.bytes.equals(blob), `a blob of ${path} has other bytes`);
      }
      verified++;
    }
    return verified;
  }

  async #act(): Promise<void> {
    const tag = `tag-${this.#random.integer(TAGS)}`;
    const state = this.#tags.get(tag) ?? { acknowledged: undefined, begun: new Set() };
    this.#tags.set(tag, state);
    const choice = this.#random.integer(10);
    if (choice < 2 && state.acknowledged) await this.#delete(tag, state);
    else if (choice < 4 && state.acknowledged) await this.#push(tag, state, state.acknowledged);
    else await this.#push(tag, state, this.#newImage());
  }

  #newImage(): Image {
    const config = Buffer.from(JSON.stringify({ id: this.#random.bytes(8).toString('hex') }));
    const layers = [0, 1].map(() => this.#layers[this.#random.integer(this.#layers.length)] ?? config);
    const own = this.#random.bytes(this.#random.integer(200_000));
    const blobs = [config, ...layers, own];
    const [first, ...others] = blobs.map((bytes) => ({ digest: digestOf(bytes), size: bytes.length }));
    assert.ok(first);
    const manifest = imageManifest(first, others);
    return { digest: digestOf(manifest), manifest, blobs };
  }

  async #push(tag: string, state: TagState, image: Image): Promise<void> {
    for (const blob of image.blobs) await this.#pushBlob(blob);
    state.begun.add(image.digest);
    await this.#registry().pushManifest(this.repository, tag, image.manifest);
    state.acknowledged = image;
    state.begun.clear();
    this.pushed++;
  }

  /** As docker: what is there is not sent, and what another repository has is mounted. */
  async #pushBlob(bytes: Buffer): Promise<void> {
    const digest = digestOf(bytes);
    const registry = this.#registry();
    if ((await registry.send('HEAD', `/v2/${this.repository}/blobs/${digest}`)).status === 200) return;
    const other = this.#others[this.#random.integer(this.#others.length)];
    if (other !== undefined && this.#random.integer(2) === 0) {
      const query = `mount=${digest}&from=${other.repository}`;
      const mounted = await registry.send('POST', `/v2/${this.repository}/blobs/uploads/?${query}`);
      // Else it is an upload that was begun.
      if (mounted.status !== 201) await registry.finish(registry.locationOf(mounted), digest, bytes);
      return;
    }
    await registry.pushBlob(this.repository, bytes, this.#random.integer(2) === 0 ? 'put' : 'chunks');
  }

  async #delete(tag: string, state: TagState): Promise<void> {
    state.begun.add(ABSENT);
    // An answer that got lost may have been to a delete that was done.
    const { status } = await this.#registry().send('DELETE', `/v2/${this.repository}/manifests/${tag}`);
    assert.ok(status === 202 || status === 404, `DELETE says ${status}`);
    if (status === 404) return;
    state.acknowledged = undefined;
    state.begun.clear();
    this.deleted++;
  }
}

/** With no minimum age, a layer may go before its manifest comes; and an upload with the process that knew it. */
function isOvertaken(error: unknown): boolean {
  if (!(error instanceof UnexpectedAnswer)) return false;
  const { status, bytes } = error.answer;
  const text = bytes.toString();
  return (
    (status === 400 && text.includes('"MANIFEST_BLOB_UNKNOWN"')) ||
    (status === 404 && text.includes('"BLOB_UPLOAD_UNKNOWN"'))
  );
}

function isTimeout(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'TimeoutError';
}
