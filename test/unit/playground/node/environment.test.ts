import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  containerEnvironment,
  type Container,
  NotStartableError,
  type NamespaceObjects,
} from '../../../../src/playground/node/environment.ts';

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
  configMap: () => undefined,
};
const container = (fields: Partial<Container>): Container => ({ name: 'web', ...fields });

test('values come from the spec and from Secrets', () => {
  const env = [
    { name: 'PLAIN', value: 'a' },
    { name: 'PASSWORD', valueFrom: { secretKeyRef: { name: 'users', key: 'alice' } } },
  ];
  assert.deepEqual(containerEnvironment(container({ env }), objects), {
    PLAIN: 'a',
    PASSWORD: 'secret',
  });
});

test('$(NAME) stands for what was set before, $$ for one $, and an unknown name for itself', () => {
  const env = [
    { name: 'HOST', value: 'localhost' },
    { name: 'URL', value: 'http://$(HOST):$(PORT)/$$(HOST)' },
  ];
  assert.equal(containerEnvironment(container({ env }), objects)['URL'], 'http://localhost:$(PORT)/$(HOST)');
});

const missing = [
  { secretKeyRef: { name: 'none', key: 'a' } },
  { secretKeyRef: { name: 'users', key: 'bob' } },
  { configMapKeyRef: { name: 'settings', key: 'a' } },
  { fieldRef: { fieldPath: 'status.podIP' } },
  { resourceFieldRef: { resource: 'limits.cpu' } },
];
for (const valueFrom of missing) {
  test(`a container waits for ${JSON.stringify(valueFrom)}`, () => {
    const env = [{ name: 'A', valueFrom }];
    assert.throws(() => containerEnvironment(container({ env }), objects), NotStartableError);
  });
}
