import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from '../../../../src/kube/resources.ts';
import {
  containerEnvironment,
  ContainerConfigError,
  type Container,
  type NamespaceObjects,
} from '../../../../src/playground/node/environment.ts';

const pod: Pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web', namespace: 'team', labels: { app: 'web' } },
  spec: { containers: [] },
  status: { podIP: '127.200.0.1' },
};
const meta = { metadata: { name: 'settings' } };
const objects: NamespaceObjects = {
  secret: (name) =>
    name === 'users'
      ? {
          apiVersion: 'v1',
          kind: 'Secret',
          ...meta,
          data: { alice: Buffer.from('secret').toString('base64') },
        }
      : undefined,
  configMap: (name) =>
    name === 'settings'
      ? { apiVersion: 'v1', kind: 'ConfigMap', ...meta, data: { LEVEL: 'debug' } }
      : undefined,
};
const container = (fields: Partial<Container>): Container => ({ name: 'web', ...fields });

test('values come from the spec, Secrets, ConfigMaps and the pod itself', () => {
  const env = [
    { name: 'PLAIN', value: 'a' },
    { name: 'PASSWORD', valueFrom: { secretKeyRef: { name: 'users', key: 'alice' } } },
    { name: 'LEVEL', valueFrom: { configMapKeyRef: { name: 'settings', key: 'LEVEL' } } },
    { name: 'ADDRESS', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
  ];
  assert.deepEqual(containerEnvironment(pod, container({ env }), objects), {
    PLAIN: 'a',
    PASSWORD: 'secret',
    LEVEL: 'debug',
    ADDRESS: '127.200.0.1',
  });
});

test('$(NAME) stands for what was set before, $$ for one $, and an unknown name for itself', () => {
  const env = [
    { name: 'HOST', value: 'localhost' },
    { name: 'URL', value: 'http://$(HOST):$(PORT)/$$(HOST)' },
  ];
  assert.equal(
    containerEnvironment(pod, container({ env }), objects)['URL'],
    'http://localhost:$(PORT)/$(HOST)',
  );
});

const missing = [
  { secretKeyRef: { name: 'none', key: 'a' } },
  { secretKeyRef: { name: 'users', key: 'bob' } },
  { configMapKeyRef: { name: 'none', key: 'a' } },
  { resourceFieldRef: { resource: 'limits.cpu' } },
];
for (const valueFrom of missing) {
  test(`a container waits for ${JSON.stringify(valueFrom)}`, () => {
    const env = [{ name: 'A', valueFrom }];
    assert.throws(() => containerEnvironment(pod, container({ env }), objects), ContainerConfigError);
  });
}
