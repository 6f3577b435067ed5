import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAccessRules } from '../../../../src/contract/access-rules.ts';
import { createAccessController } from '../../../../src/registry/auth/access-controller.ts';
import type { Need } from '../../../../src/registry/auth/need.ts';
import type { AuthProvider, Caller, Identity } from '../../../../src/registry/auth/provider.ts';
import { sillyProvider } from '../../../../src/registry/auth/silly.ts';

const caller: Caller = {
  authorization: undefined,
  certificateUser: undefined,
  remote: '127.0.0.1',
  signal: new AbortController().signal,
  host: 'r',
  forwardedProto: undefined,
  apiUrl: (path) => `http://r/v2/${path}`,
};
const pull: Need = { kind: 'repository', name: 'a', action: 'pull' };
const push: Need = { kind: 'repository', name: 'a', action: 'push' };

/** Answers the same to everybody, and puts the reason into the challenge. */
function providerOf(identity: Identity | 'none' | 'wrong'): AuthProvider {
  return {
    identify: () => Promise.resolve(identity),
    challenge: (_caller, needs, failure) => `${needs.length} ${failure ?? '-'}`,
  };
}

interface Case {
  readonly provider?: Identity | 'none' | 'wrong';
  readonly rules?: string;
  readonly certificates?: boolean;
  readonly certificateUser?: string;
  readonly needs: readonly Need[];
}

async function outcome(options: Case): Promise<string> {
  const { provider, rules, certificates = false, certificateUser, needs } = options;
  const controller = createAccessController({
    provider: provider === undefined ? undefined : providerOf(provider),
    rules: rules === undefined ? undefined : { current: () => parseAccessRules(rules) },
    certificates,
  });
  try {
    const grant = await controller.authorize({ ...caller, certificateUser }, needs, [...needs, pull]);
    return `${grant.user ?? '-'} ${grant.permits('a', 'pull')} ${grant.permits('a', 'push')}`;
  } catch (error) {
    assert.ok(error instanceof Error && 'code' in error && 'headers' in error);
    const { 'www-authenticate': challenge } = error.headers as Readonly<Record<string, string>>; // of a RegistryError
    return challenge === undefined ? String(error.code) : `${String(error.code)} ${challenge}`;
  }
}

const ann = { user: 'ann' };
const onlyPull = 'access: [{repositories: [a], users: [ann], actions: [pull]}]';
const anonymousPull = `anonymous: pull\n${onlyPull}`;

const cases: Readonly<Record<string, readonly (readonly [Case, string])[]>> = {
  'without users and rules everybody may do everything': [
    [{ needs: [] }, '- true true'],
    [{ needs: [push] }, '- true true'],
    [{ needs: [push], certificateUser: 'carl' }, 'carl true true'],
  ],
  'with users, and no rules, users may do everything and nobody else anything': [
    [{ provider: ann, needs: [push] }, 'ann true true'],
    [{ provider: ann, needs: [] }, 'ann true true'],
    [{ provider: ann, needs: [{ kind: 'catalog' }] }, 'ann true true'],
    [{ provider: 'none', needs: [] }, 'UNAUTHORIZED 1 -'],
    [{ provider: 'none', needs: [push] }, 'UNAUTHORIZED 2 -'],
    [{ provider: 'none', needs: [{ kind: 'catalog' }] }, 'UNAUTHORIZED 2 -'],
    [{ provider: 'wrong', needs: [pull] }, 'UNAUTHORIZED 2 invalid_token'],
    [{ provider: { user: undefined }, needs: [] }, 'UNAUTHORIZED 1 -'],
  ],
  'rules decide, and deny whom they know': [
    [{ provider: ann, rules: onlyPull, needs: [pull] }, 'ann true false'],
    [{ provider: ann, rules: onlyPull, needs: [pull, push] }, 'DENIED'],
    [{ provider: ann, rules: onlyPull, needs: [] }, 'ann true false'],
    [{ provider: { user: 'bob' }, rules: onlyPull, needs: [pull] }, 'DENIED'],
    [{ provider: { user: 'bob' }, rules: onlyPull, needs: [{ kind: 'catalog' }] }, 'bob false false'],
    [{ provider: 'none', rules: onlyPull, needs: [pull] }, 'UNAUTHORIZED 2 -'],
  ],
  'anonymous pull lets those in who say nothing, but for the question who they are': [
    [{ provider: 'none', rules: anonymousPull, needs: [pull] }, '- true false'],
    [{ provider: 'none', rules: anonymousPull, needs: [{ kind: 'catalog' }] }, '- true false'],
    [{ provider: 'none', rules: anonymousPull, needs: [push] }, 'UNAUTHORIZED 2 -'],
    [{ provider: 'none', rules: anonymousPull, needs: [] }, 'UNAUTHORIZED 1 -'],
    [{ provider: { user: undefined }, rules: anonymousPull, needs: [] }, '- true false'],
    [{ provider: 'wrong', rules: anonymousPull, needs: [pull] }, 'UNAUTHORIZED 2 invalid_token'],
    [{ rules: anonymousPull, needs: [] }, '- true false'],
    [{ rules: anonymousPull, needs: [push] }, 'DENIED'],
  ],
  'a token is asked for more when it lacks something': [
    [{ provider: { user: 'ann', allows: (need) => need === pull }, needs: [pull] }, 'ann false false'],
    [{ provider: { user: 'ann', allows: () => false }, needs: [] }, 'ann false false'],
    [
      { provider: { user: 'ann', allows: (need) => need === pull }, needs: [pull, push] },
      'UNAUTHORIZED 3 insufficient_scope',
    ],
  ],
  'a certificate counts without a provider, and beside one when that is wanted': [
    [{ rules: onlyPull, certificateUser: 'ann', needs: [pull] }, 'ann true false'],
    [{ rules: onlyPull, certificateUser: 'bob', needs: [pull] }, 'DENIED'],
    [{ rules: onlyPull, needs: [pull] }, 'DENIED'],
    [{ provider: 'none', certificateUser: 'ann', needs: [pull] }, 'UNAUTHORIZED 2 -'],
    [{ provider: 'none', certificateUser: 'ann', certificates: true, needs: [pull] }, 'ann true true'],
    [{ provider: ann, certificates: true, needs: [pull] }, 'ann true true'],
  ],
};

for (const [title, list] of Object.entries(cases)) {
  test(title, async () => {
    for (const [options, expected] of list) {
      assert.equal(await outcome(options), expected, JSON.stringify(options));
    }
  });
}

test('silly lets in whoever sends a header, whatever it says, and challenges as distribution does', async () => {
  const provider = sillyProvider({ realm: 'the "realm"', service: 'the service' });
  const controller = createAccessController({ provider, rules: undefined, certificates: false });
  const grant = await controller.authorize({ ...caller, authorization: 'x' }, [pull, push]);
  assert.equal(grant.user, 'silly');
  assert.equal(grant.permits('b', 'delete'), true);
  await assert.rejects(controller.authorize(caller, [pull, push]), {
    code: 'UNAUTHORIZED',
    headers: {
      'www-authenticate': String.raw`Bearer realm="the \"realm\"",service="the service",scope="repository:a:pull repository:a:push"`,
    },
  });
});
