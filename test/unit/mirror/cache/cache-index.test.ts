import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { CacheIndex, type ManifestEntry, type Removal } from '../../../../src/mirror/cache/cache-index.ts';
import type { Digest } from '../../../../src/oci/digest.ts';
import type { RepositoryName } from '../../../../src/oci/repository-name.ts';
import { repository, sha256, tag } from './harness.ts';

const app = repository('docker.io/library/app');
const web = repository('docker.io/library/web');

test('the image that was used longest ago goes first, with what nobody else needs', () => {
  const index = new CacheIndex({ high: 1000, low: 600 });
  putImage(index, app, 'old', { blobs: ['base', 'old layer'], usedAt: 1 });
  putImage(index, app, 'new', { blobs: ['base', 'new layer'], usedAt: 2 });
  index.setTag(app, tag('v1'), { digest: d('old'), checkedAt: 1 });
  assert.equal(index.bytes, 500);
  const { fits, removals } = index.reserve(501);
  assert.ok(fits);
  assert.deepEqual(removals, [
    {
      repository: app,
      tags: ['v1'],
      manifests: [d('old')],
      layers: [d('old layer')],
      data: [d('old'), d('old layer')],
      bytes: 200,
    },
  ]);
  assert.equal(index.bytes, 300);
  assert.equal(index.tag(app, tag('v1')), undefined);
});

test('room is made down to the low watermark, or as far as something large needs', () => {
  const filled = (): CacheIndex => {
    const index = new CacheIndex({ high: 900, low: 500 });
    for (let at = 0; at < 9; at++) putImage(index, app, `m${at}`, { blobs: [], usedAt: at });
    return index;
  };
  const small = filled();
  assert.equal(small.reserve(10).removals.length, 4);
  assert.equal(small.bytes, 500);
  const large = filled();
  assert.equal(large.reserve(700).removals.length, 7);
  assert.equal(large.bytes, 200);
  const tooLarge = filled();
  assert.deepEqual([tooLarge.reserve(901).fits, tooLarge.reserved], [false, 0]);
});

test('nothing goes for something that finds no room beside what is being read', () => {
  const index = new CacheIndex({ high: 900, low: 500 });
  for (let at = 0; at < 9; at++) putImage(index, app, `m${at}`, { blobs: [], usedAt: at });
  for (let at = 0; at < 5; at++) index.pin(d(`m${at}`));
  assert.deepEqual(index.reserve(450), { fits: false, removals: [] });
  assert.equal(index.bytes, 900);
});

test('the pull of an image of an index counts for the index, and of several for the one that was used last', () => {
  const index = new CacheIndex({ high: 1000, low: 0 });
  putImage(index, app, 'amd64', { blobs: ['layer'], usedAt: 1 });
  putImage(index, app, 'index 1', { children: ['amd64', 'arm64'], usedAt: 2 });
  putImage(index, app, 'index 2', { children: ['amd64'], usedAt: 3 });
  index.useLayer(app, d('layer'), 50);
  assert.equal(index.manifest(app, d('amd64'))?.usedAt, 50);
  assert.equal(index.manifest(app, d('index 2'))?.usedAt, 50);
  assert.equal(index.manifest(app, d('index 1'))?.usedAt, 2);
  const goes = index.expire(10);
  assert.deepEqual(
    goes.flatMap(({ manifests }) => manifests),
    [d('index 1')],
  );
  assert.ok(index.manifest(app, d('amd64')));
});

test('the pull of a shared layer counts for the image of the repository that was used last', () => {
  const index = new CacheIndex({ high: 1000, low: 0 });
  putImage(index, app, 'v1', { blobs: ['base'], usedAt: 1 });
  putImage(index, app, 'v2', { blobs: ['base'], usedAt: 2 });
  putImage(index, web, 'v3', { blobs: ['base'], usedAt: 3 });
  index.useLayer(app, d('base'), 50);
  const used = [index.manifest(app, d('v1')), index.manifest(app, d('v2')), index.manifest(web, d('v3'))];
  assert.deepEqual(
    used.map((manifest) => manifest?.usedAt),
    [1, 50, 3],
  );
});

test('data of two repositories goes with the last of them, and an image of one is not held by the other', () => {
  const index = new CacheIndex({ high: 1000, low: 0 });
  putImage(index, app, 'same', { blobs: ['layer'], usedAt: 1 });
  putImage(index, web, 'same', { blobs: ['layer'], usedAt: 5 });
  assert.equal(index.bytes, 200);
  const [first] = index.expire(3);
  assert.deepEqual([first?.layers, first?.data, index.bytes], [[d('layer')], [], 200]);
  const [second] = index.expire(9);
  assert.deepEqual([second?.data, index.bytes], [[d('same'), d('layer')], 0]);
});

test('an image of which a blob is being fetched stays', () => {
  const index = new CacheIndex({ high: 1000, low: 0 });
  putImage(index, app, 'v1', { blobs: [], missing: ['layer'], usedAt: 1 });
  index.pin(d('layer'));
  assert.deepEqual(index.expire(9), []);
  index.unpin(d('layer'));
  assert.equal(index.expire(9).length, 1);
});

test('a blob that no manifest needs goes by itself', () => {
  const index = new CacheIndex({ high: 1000, low: 0 });
  index.addLayer(app, { digest: d('loose'), canonical: d('loose'), size: 100, usedAt: 1 });
  assert.deepEqual(
    index.expire(9).map(({ data }) => data),
    [[d('loose')]],
  );
  assert.deepEqual(index.counts, { manifests: 0, blobs: 0 });
});

const NAMES = [app, web];
const MANIFESTS = 8;
const BLOBS = 6;

/** What manifest `number` needs: the same each time, children have lower numbers. */
function needsOf(number: number): { blobs: string[]; children: string[] } {
  const blobs = Array.from({ length: BLOBS }, (_, at) => at).filter((at) => (number * 7 + at * 5) % 3 === 0);
  const children = number < 5 ? [] : [number - 3, number - 5];
  return { blobs: blobs.map((at) => `b${at}`), children: children.map((at) => `m${at}`) };
}

type Command =
  | {
      readonly kind: 'manifest' | 'blob' | 'use' | 'useLayer' | 'forget';
      readonly at: number;
      readonly name: number;
    }
  | { readonly kind: 'pin' | 'unpin'; readonly at: number }
  | { readonly kind: 'expire' | 'shrink'; readonly by: number };

const commands: fc.Arbitrary<Command[]> = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        kind: fc.constantFrom('manifest' as const, 'blob' as const, 'use' as const, 'useLayer' as const),
        at: fc.nat(MANIFESTS - 1),
        name: fc.nat(1),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('forget' as const),
        at: fc.nat(MANIFESTS - 1),
        name: fc.nat(1),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constantFrom('pin' as const, 'unpin' as const),
        at: fc.nat(BLOBS - 1),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constantFrom('expire' as const, 'shrink' as const), by: fc.nat(900) }),
    },
  ),
  { maxLength: 80, size: 'max' },
);

test('after anything, what counts says is what is there, room is kept, and nothing goes that is read or needed', () => {
  fc.assert(
    fc.property(commands, (list) => {
      const watermarks = { high: 1000, low: 700 };
      const index = new CacheIndex(watermarks);
      const disk = new Disk();
      const pins: string[] = [];
      let now = 0;
      for (const command of list) {
        now++;
        switch (command.kind) {
          case 'manifest':
          case 'blob': {
            const name = NAMES[command.name] ?? app;
            const id = command.kind === 'blob' ? `b${command.at % BLOBS}` : `m${command.at}`;
            const size = 100 + command.at * 10;
            const { fits, removals } = index.reserve(size);
            for (const removal of removals) disk.remove(removal, pins);
            if (!fits) break;
            if (command.kind === 'manifest')
              index.addManifest(name, entryOf(id, { ...needsOf(command.at), size, usedAt: now }));
            else
              index.addLayer(name, {
                digest: d(id),
                canonical: d(id),
                size: 100 + (command.at % BLOBS) * 10,
                usedAt: now,
              });
            index.release(size);
            disk.add(
              name,
              command.kind,
              id,
              command.kind === 'blob' ? 100 + (command.at % BLOBS) * 10 : size,
              command.at,
            );
            break;
          }
          case 'use':
            index.useManifest(NAMES[command.name] ?? app, d(`m${command.at}`), now);
            break;
          case 'useLayer':
            index.useLayer(NAMES[command.name] ?? app, d(`b${command.at}`), now);
            break;
          case 'forget':
            index.forget(d(`m${command.at}`));
            disk.forget(d(`m${command.at}`));
            break;
          case 'pin':
            index.pin(d(`b${command.at}`));
            pins.push(`b${command.at}`);
            break;
          case 'unpin':
            if (!pins.includes(`b${command.at}`)) break;
            index.unpin(d(`b${command.at}`));
            pins.splice(pins.indexOf(`b${command.at}`), 1);
            break;
          case 'expire':
            for (const removal of index.expire(now - command.by / 50)) disk.remove(removal, pins);
            break;
          case 'shrink':
            for (const removal of index.shrinkBy(command.by)) disk.remove(removal, pins);
        }
        assert.ok(index.bytes + index.reserved <= watermarks.high);
        assert.equal(index.bytes, disk.bytes);
        assert.deepEqual(index.counts, disk.counts);
        assert.deepEqual(disk.scan(watermarks).counts, index.counts);
        assert.equal(disk.scan(watermarks).bytes, index.bytes);
      }
    }),
    { numRuns: 200 },
  );
});

/** What lies on the disk, looked at without any count. */
class Disk {
  readonly #manifests = new Map<
    string,
    { name: RepositoryName; digest: Digest; size: number; number: number }
  >();
  readonly #layers = new Map<string, { name: RepositoryName; digest: Digest; size: number }>();

  add(name: RepositoryName, kind: 'manifest' | 'blob', id: string, size: number, number: number): void {
    const key = `${name}@${d(id)}`;
    if (kind === 'blob') this.#layers.set(key, { name, digest: d(id), size });
    else this.#manifests.set(key, { name, digest: d(id), size, number });
  }

  get bytes(): number {
    return [...this.#data().values()].reduce((sum, size) => sum + size, 0);
  }

  get counts(): { manifests: number; blobs: number } {
    return { manifests: this.#manifests.size, blobs: this.#layers.size };
  }

  remove({ repository: name, manifests, layers, data, bytes }: Removal, pins: readonly string[]): void {
    const before = this.#data();
    for (const digest of manifests) assert.ok(this.#manifests.delete(`${name}@${digest}`));
    for (const digest of layers) assert.ok(this.#layers.delete(`${name}@${digest}`));
    const after = this.#data();
    assert.deepEqual(new Set(data), new Set([...before.keys()].filter((digest) => !after.has(digest))));
    assert.equal(
      bytes,
      data.reduce((sum, digest) => sum + (before.get(digest) ?? 0), 0),
    );
    for (const pin of pins) assert.ok(!data.includes(d(pin)));
    for (const kept of this.#manifests.values()) {
      if (kept.name !== name) continue;
      const { blobs, children } = needsOf(kept.number);
      for (const blob of blobs) assert.ok(!layers.includes(d(blob)));
      for (const child of children) assert.ok(!manifests.includes(d(child)));
    }
  }

  forget(canonical: Digest): void {
    for (const [key, { digest }] of this.#manifests) if (digest === canonical) this.#manifests.delete(key);
  }

  /** An index of what is here, as after a restart. */
  scan(watermarks: { high: number; low: number }): CacheIndex {
    const index = new CacheIndex(watermarks);
    for (const { name, digest, size } of this.#layers.values()) {
      index.addLayer(name, { digest, canonical: digest, size, usedAt: 0 });
    }
    for (const { name, number, size } of this.#manifests.values()) {
      index.addManifest(name, entryOf(`m${number}`, { ...needsOf(number), size, usedAt: 0 }));
    }
    return index;
  }

  #data(): Map<Digest, number> {
    return new Map(
      [...this.#manifests.values(), ...this.#layers.values()].map(({ digest, size }) => [digest, size]),
    );
  }
}

function d(name: string): Digest {
  return sha256(Buffer.from(name));
}

function entryOf(
  id: string,
  options: { blobs?: readonly string[]; children?: readonly string[]; size?: number; usedAt: number },
): ManifestEntry {
  return {
    digest: d(id),
    canonical: d(id),
    size: options.size ?? 100,
    blobs: (options.blobs ?? []).map((blob) => ({ digest: d(blob), size: 100 })),
    children: (options.children ?? []).map(d),
    usedAt: options.usedAt,
  };
}

/** Everything has 100 bytes. */
function putImage(
  index: CacheIndex,
  name: RepositoryName,
  id: string,
  options: { blobs?: string[]; children?: string[]; missing?: string[]; usedAt: number },
): void {
  const { blobs = [], missing = [], usedAt } = options;
  index.addManifest(name, entryOf(id, { ...options, blobs: [...blobs, ...missing] }));
  for (const blob of blobs) index.addLayer(name, { digest: d(blob), canonical: d(blob), size: 100, usedAt });
}
