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
    { name: 'APP', valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
  ];
  assert.deepEqual(containerEnvironment(pod, container({ env }), objects), {
    PLAIN: 'a',
    PASSWORD: 'secret',
    LEVEL: 'debug',
    ADDRESS: '127.200.0.1',
    APP: 'web',
  });
});

test('env wins over envFrom, whose keys can carry a prefix', () => {
  const envFrom = [{ configMapRef: { name: 'settings' } }, { prefix: 'USER_', secretRef: { name: 'users' } }];
  const env = [{ name: 'LEVEL', value: 'info' }];
  assert.deepEqual(containerEnvironment(pod, container({ envFrom, env }), objects), {
    LEVEL: 'info',
    USER_alice: 'secret',
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

const missing: readonly (readonly [string, Partial<Container>, string])[] = [
  [
    'Secret',
    { env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 'none', key: 'a' } } }] },
    'secret "none" not found',
  ],
  ['ConfigMap', { envFrom: [{ configMapRef: { name: 'none' } }] }, 'configmap "none" not found'],
  [
    'key',
    { env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 'users', key: 'bob' } } }] },
    "couldn't find key bob in Secret team/users",
  ],
];
for (const [what, fields, message] of missing) {
  test(`a ${what} that is not there is told as the kubelet tells it`, () => {
    assert.throws(
      () => containerEnvironment(pod, container(fields), objects),
      new ContainerConfigError(message),
    );
  });
}

test('what is optional may be missing', () => {
  const env = [{ name: 'A', valueFrom: { secretKeyRef: { name: 'none', key: 'a', optional: true } } }];
  assert.deepEqual(containerEnvironment(pod, container({ env }), objects), {});
});
