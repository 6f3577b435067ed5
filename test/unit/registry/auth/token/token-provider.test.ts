import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Need } from '../../../../../src/registry/auth/need.ts';
import type { Caller } from '../../../../../src/registry/auth/provider.ts';
import { tokenProvider, type TokenOptions } from '../../../../../src/registry/auth/token/token-provider.ts';
import { logSink } from '../../../../support/log-sink.ts';
import { withTemporaryFolder } from '../../../../support/temporary-folder.ts';
import { TestClock } from '../../../../support/test-clock.ts';
import { claims, ecdsaKey, token, type SigningKey } from '../../../../support/token-issuer.ts';

const caller: Caller = {
  authorization: undefined,
  certificateUser: undefined,
  remote: '127.0.0.1',
  signal: new AbortController().signal,
  host: 'registry.example.com:5000',
  forwardedProto: undefined,
  apiUrl: (path) => `https://registry.example.com:5000/v2/${path}`,
};
const bearer = (text: string): Caller => ({ ...caller, authorization: `Bearer ${text}` });
const need = (name: string, action: 'pull' | 'push' | 'delete' | 'list'): Need => ({
  kind: 'repository',
  name,
  action,
});

const options: TokenOptions = {
  realm: 'https://auth.example.com/token',
  service: 'registry',
  issuer: 'issuer',
  rootcertbundle: undefined,
  jwks: undefined,
  signingalgorithms: [],
  autoredirect: false,
  autoredirectpath: '/auth/token',
};

const keySet = (signer: SigningKey, kid = 'k'): string => JSON.stringify({ keys: [{ ...signer.jwk, kid }] });

test('a token counts for the right issuer, service and time, with a minute of leeway', () =>
  withTemporaryFolder(async (folder) => {
    const signer = ecdsaKey();
    const jwks = join(folder, 'jwks.json');
    writeFileSync(jwks, keySet(signer));
    const clock = new TestClock(Date.now());
    const { log, records } = logSink();
    const provider = tokenProvider({ options: { ...options, jwks }, clock, log });
    const now = Math.floor(clock.now() / 1000);
    const cases: readonly (readonly [object, string | undefined])[] = [
      [{}, undefined],
      [{ aud: ['other', 'registry'] }, undefined],
      [{ exp: now - 59 }, undefined],
      [{ nbf: now + 59 }, undefined],
      [{ nbf: undefined }, undefined],
      [{ iss: 'other' }, 'it is from another issuer'],
      [{ iss: undefined }, 'it is from another issuer'],
      [{ aud: 'other' }, 'it is for another service'],
      [{ aud: [] }, 'it is for another service'],
      [{ exp: now - 62 }, 'it has expired'],
      [{ exp: undefined }, 'it has expired'],
      [{ nbf: now + 62 }, 'it is not valid yet'],
    ];
    for (const [changes, reason] of cases) {
      const text = token(signer, { kid: 'k' }, claims(changes, clock.now()));
      const identity = await provider.identify(bearer(text));
      if (reason === undefined)
        assert.equal(identity === 'none' || identity === 'wrong' ? identity : identity.user, 'ann');
      else {
        assert.equal(identity, 'wrong', reason);
        assert.equal(records.at(-1)?.['reason'], reason);
      }
    }
    const short = token(signer, { kid: 'k' }, claims({ exp: now + 10 }, clock.now()));
    assert.notEqual(await provider.identify(bearer(short)), 'wrong');
    clock.jumpWall(75_000);
    assert.equal(
      await provider.identify(bearer(short)),
      'wrong',
      'also a token that was right before expires',
    );
    assert.doesNotMatch(JSON.stringify(records), new RegExp(short));
  }));

test('a token allows what its access claims say, and no more', () =>
  withTemporaryFolder(async (folder) => {
    const signer = ecdsaKey();
    const jwks = join(folder, 'jwks.json');
    writeFileSync(jwks, keySet(signer));
    const provider = tokenProvider({
      options: { ...options, jwks },
      clock: new TestClock(Date.now()),
      log: logSink().log,
    });
    const access = [
      { type: 'repository', name: 'a', actions: ['pull'] },
      { type: 'repository', name: 'a', actions: ['push'] },
      { type: 'repository', class: 'image', name: 'b/c', actions: ['*'] },
      { type: 'other', name: 'd', actions: ['*'] },
    ];
    const identity = await provider.identify(bearer(token(signer, { kid: 'k' }, claims({ access }))));
    assert.ok(typeof identity === 'object');
    const allows = identity.allows ?? assert.fail();
    assert.deepEqual(
      [need('a', 'pull'), need('a', 'list'), need('a', 'push'), need('b/c', 'delete')].map(allows),
      [true, true, true, true],
    );
    assert.deepEqual(
      [need('a', 'delete'), need('b', 'pull'), need('d', 'pull'), { kind: 'catalog' } as const].map(allows),
      [false, false, false, false],
    );
    const list = claims({ access: [{ type: 'registry', name: 'catalog', actions: ['*'] }], sub: '' });
    const lister = await provider.identify(bearer(token(signer, { kid: 'k' }, list)));
    assert.ok(typeof lister === 'object');
    assert.equal(lister.user, undefined);
    assert.equal(lister.allows?.({ kind: 'catalog' }), true);
    for (const authorization of [undefined, 'Basic YTpi', 'Bearer', 'Bearer ', 'Token x']) {
      assert.equal(
        await provider.identify({ ...caller, authorization }),
        'none',
        authorization ?? 'no header',
      );
    }
    assert.equal(await provider.identify({ ...caller, authorization: 'bearer x.y.z' }), 'wrong');
  }));

test('keys that change count from the next request on, and a file that is gone leaves those before', () =>
  withTemporaryFolder(async (folder) => {
    const [first, second] = [ecdsaKey(), ecdsaKey()];
    const jwks = join(folder, 'jwks.json');
    writeFileSync(jwks, keySet(first, '1'));
    const { log, records } = logSink();
    const provider = tokenProvider({ options: { ...options, jwks }, clock: new TestClock(), log });
    const now = async (who: Caller): Promise<boolean> => (await provider.identify(who)) !== 'wrong';
    const payload = claims({}, new TestClock().now());
    const at = (signer: SigningKey, kid: string): Caller => bearer(token(signer, { kid }, payload));
    assert.equal(await now(at(first, '1')), true);
    assert.equal(await now(at(second, '2')), false);
    writeFileSync(jwks, keySet(second, '2'));
    assert.equal(await now(at(first, '1')), false, 'also one that was right before');
    assert.equal(await now(at(second, '2')), true);
    rmSync(jwks);
    assert.equal(await now(at(second, '2')), true);
    writeFileSync(jwks, 'damaged');
    assert.equal(await now(at(second, '2')), true);
    assert.equal(records.filter(({ level }) => level === 'error').length, 2);
  }));

test('a file without keys at the start is an error', () =>
  withTemporaryFolder(async (folder) => {
    const path = join(folder, 'keys');
    writeFileSync(path, 'nothing');
    const deps = { clock: new TestClock(), log: logSink().log };
    assert.throws(() => tokenProvider({ options: { ...options, jwks: path }, ...deps }), /not JSON/);
    assert.throws(
      () => tokenProvider({ options: { ...options, rootcertbundle: path }, ...deps }),
      /no certificate/,
    );
  }));

test('the challenge names realm, service, scope and error, as docker distribution writes it', () => {
  const deps = { clock: new TestClock(), log: logSink().log };
  const provider = tokenProvider({ options, ...deps });
  assert.equal(
    provider.challenge(caller, []),
    'Bearer realm="https://auth.example.com/token",service="registry"',
  );
  assert.equal(
    provider.challenge(
      caller,
      [need('a/b', 'pull'), need('a/b', 'push'), need('c', 'pull')],
      'insufficient_scope',
    ),
    'Bearer realm="https://auth.example.com/token",service="registry",scope="repository:a/b:pull,push repository:c:pull",error="insufficient_scope"',
  );
  assert.match(provider.challenge(caller, [{ kind: 'catalog' }]), /,scope="registry:catalog:\*"$/);
  const redirecting = tokenProvider({
    options: { ...options, autoredirect: true, autoredirectpath: '/jwt/auth' },
    ...deps,
  });
  assert.match(
    redirecting.challenge(caller, []),
    /^Bearer realm="https:\/\/registry\.example\.com:5000\/jwt\/auth",/,
  );
  assert.match(
    redirecting.challenge({ ...caller, forwardedProto: 'http' }, []),
    /^Bearer realm="http:\/\/registry\.example\.com:5000\/jwt\/auth",/,
  );
});
