import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeProtobuf } from '../../../../src/playground/api-server/http/protobuf.ts';
import { definedSchema } from '../../../../src/playground/api-server/kinds/recorded.ts';

/** Bodies of `kubectl create`, version 1.34, and what earlier versions send as JSON. */
const bodies: readonly { readonly definition: string; readonly sent: string; readonly meant: object }[] = [
  {
    definition: 'io.k8s.api.core.v1.Secret',
    sent: 'azhzAAoMCgJ2MRIGU2VjcmV0Eh0KEQoBcxIAGgAiACoAMgA4AEIAEgYKAWESAWIaABoAIgA=',
    meant: { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, data: { a: 'Yg==' } },
  },
  {
    definition: 'io.k8s.api.policy.v1.PodDisruptionBudget',
    sent: 'azhzAAogCglwb2xpY3kvdjESE1BvZERpc3J1cHRpb25CdWRnZXQSNgoRCgFwEgAaACIAKgAyADgAQgASFQoJCAEQABoDNTAlEggKBgoBYRIBYhoKCAAYACAAKAAwABoAIgA=',
    meant: {
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata: { name: 'p' },
      spec: { minAvailable: '50%', selector: { matchLabels: { a: 'b' } } },
      // Numbers that JSON has too.
      status: { disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 0, expectedPods: 0 },
    },
  },
  {
    definition: 'io.k8s.api.apps.v1.Deployment',
    sent: 'azhzAAoVCgdhcHBzL3YxEgpEZXBsb3ltZW50EroBCh8KA3dlYhIAGgAiACoAMgA4AEIAWgoKA2FwcBIDd2ViEogBCAASDAoKCgNhcHASA3dlYhpuChwKABIAGgAiACoAMgA4AEIAWgoKA2FwcBIDd2ViEk4SMAoFbmdpbngSB25naW54OjEqADIKCgAQABhQIgAqAEIAagByAIABAIgBAJABAKIBABoAMgBCAEoAUgBYAGAAaACCAQCKAQCaAQDCAQAiAgoAKAA4ABoMCAAQABgAIAAoADgAGgAiAA==',
    meant: {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web', labels: { app: 'web' } },
      spec: {
        replicas: 0,
        selector: { matchLabels: { app: 'web' } },
        template: {
          metadata: { labels: { app: 'web' } },
          spec: {
            containers: [{ name: 'nginx', image: 'nginx:1', ports: [{ containerPort: 80 }], resources: {} }],
          },
        },
        strategy: {},
      },
      status: {},
    },
  },
];

for (const { definition, sent, meant } of bodies) {
  test(`what kubectl sends as protobuf is read as the same in JSON: ${definition}`, () => {
    assert.deepEqual(decodeProtobuf(definedSchema(definition), Buffer.from(sent, 'base64')), meant);
  });
}

test('what is cut off or no protobuf at all is refused', () => {
  const [{ definition, sent } = { definition: '', sent: '' }] = bodies;
  const whole = Buffer.from(sent, 'base64');
  for (const bytes of [Buffer.from('{}'), whole.subarray(0, 20), Buffer.from('k8s\0\xff')]) {
    assert.throws(() => decodeProtobuf(definedSchema(definition), bytes), RangeError);
  }
});
