import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { mapPath } from '../../../../src/playground/node/path-map.ts';

const place = {
  mounts: [
    { path: '/var/lib/registry', target: '/state/volumes/pvc-1' },
    { path: '/var/lib/registry/cache', target: '/state/pods/1/volumes/cache' },
    { path: '/tmp', target: '/state/pods/1/volumes/tmp' },
    { path: '/dev/termination-log', target: '/state/pods/1/web.message' },
  ],
  untouched: ['/tmp/checkout', '/state'],
};

const cases: readonly (readonly [string, string])[] = [
  ['/var/lib/registry', '/state/volumes/pvc-1'],
  ['/var/lib/registry/docker/registry', '/state/volumes/pvc-1/docker/registry'],
  ['/var/lib/registry/', '/state/volumes/pvc-1/'],
  ['/var/lib/registry/cache/x', '/state/pods/1/volumes/cache/x'],
  ['/var/lib/registry/../registry/x', '/state/volumes/pvc-1/x'],
  ['/var/lib/registry2/x', '/var/lib/registry2/x'],
  ['/var/lib', '/var/lib'],
  ['/tmp/a', '/state/pods/1/volumes/tmp/a'],
  ['/tmp/checkout/src/main.ts', '/tmp/checkout/src/main.ts'],
  ['/dev/termination-log', '/state/pods/1/web.message'],
  ['/dev/null', '/dev/null'],
  ['relative/path', 'relative/path'],
];

for (const [path, file] of cases) {
  test(`${path} is ${file}`, () => {
    assert.equal(mapPath(place, path), file);
  });
}

test('what was mapped once is not mapped again', () => {
  const names = fc.array(fc.constantFrom('var', 'lib', 'registry', 'cache', 'tmp', 'x', '..', '.'), {
    maxLength: 6,
  });
  fc.assert(
    fc.property(names, (parts) => {
      const once = mapPath(place, `/${parts.join('/')}`);
      assert.equal(mapPath(place, once), once);
    }),
  );
});
