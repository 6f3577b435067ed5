import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { customResourceDefinition } from '../../../src/api/crd.ts';
import { resources } from '../../../src/api/resources.ts';
import { customResourceDefinitions, type CustomResourceDefinition } from '../../../src/kube/resources.ts';
import { registries, registryGCs } from '../../../src/operator/resource-types.ts';
import { runProgram } from '../../support/run-program.ts';
import { NAMESPACE, startTestPlayground } from '../../support/test-playground.ts';

test('status reads a cluster by its kubeconfig, and tells by its exit code whether all is well', async (t) => {
  const playground = await startTestPlayground(t);
  const { client, folder } = playground;
  const status = (...args: readonly string[]) =>
    runProgram(['status', `--kubeconfig=${join(folder, 'kubeconfig')}`, ...args]);
  const empty = await status();
  assert.deepEqual([empty.code, empty.stderr], [0, '']);
  assert.match(empty.stdout, /^There is no Registry/);

  for (const resource of resources) {
    const { metadata, spec } = customResourceDefinition(resource);
    // As the API server will check.
    await client.apply(customResourceDefinitions, {
      metadata,
      spec: spec as CustomResourceDefinition['spec'],
    });
  }
  await playground.until(
    customResourceDefinitions,
    'registries.stevedore.dev',
    ({ status }) => status !== undefined,
  );
  const metadata = { namespace: NAMESPACE, name: 'reg' };
  await client.apply(registries, { metadata, spec: { storage: { filesystem: { size: '1Gi' } } } });
  await client.apply(registryGCs, { metadata, spec: { registryRef: { name: 'reg' } } });
  const fleet = await status();
  assert.equal(fleet.code, 1);
  assert.match(fleet.stdout, /^Registry +default +reg +Unknown \(NotSeen\)[^]*^RegistryGC +default +reg/m);

  const { stdout } = await status('--format=json', '-n', NAMESPACE);
  assert.partialDeepStrictEqual(JSON.parse(stdout), [
    { kind: 'Registry', namespace: NAMESPACE, name: 'reg', ready: 'Unknown' },
    { kind: 'RegistryGC', collection: { registry: 'reg' } },
  ]);

  const conditions = [
    {
      type: 'Ready',
      status: 'True',
      reason: 'Available',
      message: 'Serves.',
      lastTransitionTime: '2026-01-01T00:00:00Z',
    },
  ];
  await client.apply(registries, { metadata, status: { conditions } }, { subresource: 'status' });
  for (const word of ['registry', 'registries', 'Registry']) {
    const one = await status(word, 'reg');
    assert.deepEqual([one.code, one.stderr], [0, '']);
    assert.match(
      one.stdout,
      /^Registry default\/reg\n\n {2}Ready: True, Available [^]*Garbage collection reg:/,
    );
  }
  const none = await status('registry', 'other');
  assert.equal(none.code, 1);
  assert.match(none.stderr, /there is no Registry other in the namespace default/);
});

test('a question to status that makes no sense is bad usage', async () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['pods'], /'pods' is none of registry, mirror and gc/],
    [['registry'], /which registry\?/],
    [['registry', 'a', 'b'], /unexpected argument 'b'/],
    [['--kubeconfig=/nowhere/at/all'], /\/nowhere\/at\/all/],
  ];
  for (const [args, expected] of cases) {
    const { code, stderr } = await runProgram(['status', ...args]);
    assert.equal(code, 2, args.join(' '));
    assert.match(stderr, expected);
  }
});
