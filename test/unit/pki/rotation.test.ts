import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createCertificateAuthority,
  readCertificateAuthority,
} from '../../../src/pki/certificate-authority.ts';
import { inspectCertificate, isSignedBy, type InspectedCertificate } from '../../../src/pki/inspect.ts';
import { generatePrivateKey, type CertificatePair } from '../../../src/pki/key-pair.ts';
import { renewalReason, validity } from '../../../src/pki/renewal.ts';
import { planRotation, type AuthorityState, type RotationState } from '../../../src/pki/rotation.ts';
import { issueServerCertificate } from '../../../src/pki/server-certificate.ts';
import { DAY, HOUR, keys, NOW, serialOf } from './test-authority.ts';

const TIMES = { overlapMs: 30 * DAY, graceMs: DAY, certificateMs: 90 * DAY };
const LIFE = 730 * DAY;

function state(
  authorities: readonly Partial<AuthorityState>[],
  rest: Partial<RotationState> = {},
): RotationState {
  return {
    authorities: authorities.map((authority, index) => ({
      name: `ca-${index + 1}`,
      notBefore: NOW,
      notAfter: NOW + LIFE,
      publishedAt: NOW,
      fitsSpec: true,
      ...authority,
    })),
    issued: { by: 'ca-1', at: NOW, serving: true },
    now: NOW + HOUR,
    ...rest,
  };
}

test('a young authority signs, and nothing is to be done until its replacement is due', () => {
  const due = NOW + LIFE - 120 * DAY;
  assert.deepEqual(planRotation(state([{}]), TIMES), {
    make: false,
    signer: 'ca-1',
    retire: [],
    nextAt: due,
  });
  assert.equal(planRotation(state([{}], { now: due - 1 }), TIMES).make, false);
  assert.equal(planRotation(state([{}], { now: due }), TIMES).make, true);
});

test('an authority whose certificates live long is replaced at half its life, not earlier', () => {
  const { nextAt } = planRotation(state([{}]), {
    ...TIMES,
    certificateMs: 8760 * HOUR,
    overlapMs: 300 * DAY,
  });
  assert.equal(nextAt, NOW + LIFE / 2);
});

test('an authority that does not fit the spec any more is replaced now, with the same patience', () => {
  assert.equal(planRotation(state([{ fitsSpec: false }]), TIMES).make, true);
  const both = state([{ fitsSpec: false }, { publishedAt: NOW }]);
  assert.deepEqual(planRotation(both, TIMES), {
    make: false,
    signer: 'ca-1',
    retire: [],
    nextAt: NOW + 30 * DAY,
  });
  const third = state([{ fitsSpec: false }, { publishedAt: NOW, fitsSpec: false }]);
  assert.equal(planRotation(third, TIMES).make, false, 'one change at a time');
});

const ENDING = { notBefore: NOW - 700 * DAY, notAfter: NOW + 10 * DAY };
const signers: readonly (readonly [string, RotationState, string])[] = [
  [
    'that is not published never signs',
    state([{}, { publishedAt: undefined }], { now: NOW + 700 * DAY }),
    'ca-1',
  ],
  ['signs when the bundle has been out for the overlap', state([{}, {}], { now: NOW + 30 * DAY }), 'ca-2'],
  ['does not sign a moment earlier', state([{}, {}], { now: NOW + 30 * DAY - 1 }), 'ca-1'],
  [
    'signs a day before the end of the old one when it was late',
    state([ENDING, {}], { now: NOW + 9 * DAY }),
    'ca-2',
  ],
  [
    'that was very late is out for a day all the same',
    state([ENDING, { publishedAt: NOW + 9.5 * DAY }], { now: NOW + 10 * DAY - 1 }),
    'ca-1',
  ],
  [
    'signs at once when the old one has ended',
    state([ENDING, { publishedAt: NOW + 12 * DAY }], { now: NOW + 12 * DAY }),
    'ca-2',
  ],
  [
    'that has signed goes on, whatever becomes of the times',
    state([{}, {}], { issued: { by: 'ca-2', at: NOW, serving: true } }),
    'ca-2',
  ],
];
for (const [name, facts, expected] of signers) {
  test(`a new authority ${name}`, () => {
    assert.equal(planRotation(facts, TIMES).signer, expected);
  });
}

test('the old authority goes a grace after every server has a certificate of the new one', () => {
  const at = NOW + 31 * DAY;
  const after = (ms: number, serving = true) =>
    planRotation(state([{}, {}], { now: at + ms, issued: { by: 'ca-2', at, serving } }), TIMES);
  assert.deepEqual(after(DAY - 1).retire, []);
  assert.equal(after(DAY - 1).nextAt, at + DAY);
  assert.deepEqual(after(DAY).retire, ['ca-1']);
  assert.deepEqual(after(DAY, false).retire, []);
  assert.deepEqual(after(LIFE, false).retire, ['ca-1'], 'what has ended is of no use');
});

test('an authority that has ended is replaced, even when its replacement has ended too', () => {
  assert.equal(planRotation(state([{}], { now: NOW + LIFE }), TIMES).make, true);
  assert.equal(planRotation(state([{}, {}], { now: NOW + LIFE }), TIMES).make, true);
});

/** What a Registry has, as the operator keeps it. */
interface Kept {
  readonly authorities: { name: string; pair: CertificatePair; publishedAt: number | undefined }[];
  server: { pair: CertificatePair; at: number } | undefined;
  made: number;
}

test('in five years with renewals and rotations there is no moment without a valid chain', async () => {
  const kept: Kept = { authorities: [], server: undefined, made: 0 };
  const names = { dnsNames: ['registry.example.com'], ipAddresses: ['10.0.0.1'] };
  /** Bundles as they were published, for clients that are behind; the newest last. */
  const bundles: { at: number; bundle: readonly string[] }[] = [];
  /** Certificates that servers may still serve. */
  let served: { until: number; certificate: string }[] = [];
  let renewals = 0;
  const PROPAGATION = 2 * HOUR;
  const BEHIND = 29 * DAY;

  const makeAuthority = async (now: number) => {
    kept.made++;
    const pair = createCertificateAuthority({
      commonName: `reg.team ${kept.made}`,
      ...validity(now, LIFE),
      serial: serialOf(`ca-${kept.made}`),
      key: await generatePrivateKey(),
    });
    kept.authorities.push({ name: `ca-${kept.made}`, pair, publishedAt: undefined });
  };
  const signerOf = (certificate: string) =>
    kept.authorities.find(({ pair }) => isFrom(certificate, pair.certificate));
  const plan = (now: number) =>
    planRotation(
      {
        now,
        authorities: kept.authorities.map(({ name, pair, publishedAt }) => ({
          ...inspect(pair.certificate),
          name,
          publishedAt,
          fitsSpec: true,
        })),
        issued: kept.server && {
          by: signerOf(kept.server.pair.certificate)?.name,
          at: kept.server.at,
          serving: now >= kept.server.at + PROPAGATION,
        },
      },
      TIMES,
    );
  const publish = (now: number) => {
    bundles.push({ at: now, bundle: kept.authorities.map(({ pair }) => pair.certificate) });
    for (const authority of kept.authorities) authority.publishedAt ??= now;
  };

  for (let now = NOW; now <= NOW + 5 * 365 * DAY; now += 12 * HOUR) {
    if (kept.authorities.length === 0) await makeAuthority(now);
    if (plan(now).make) await makeAuthority(now);
    if (kept.authorities.some(({ publishedAt }) => publishedAt === undefined)) publish(now);
    const { signer, retire } = plan(now);
    const authority = kept.authorities.find(({ name }) => name === signer);
    assert.ok(authority);
    const reason = renewalReason({
      stored: kept.server?.pair,
      authority: inspect(authority.pair.certificate),
      desired: names,
      durationMs: TIMES.certificateMs,
      renewBeforeMs: undefined,
      now,
    });
    if (reason !== undefined) {
      const { notAfter } = inspect(authority.pair.certificate);
      const pair = issueServerCertificate({
        authority: readCertificateAuthority(authority.pair),
        ...names,
        ...validity(now, TIMES.certificateMs, notAfter),
        serial: serialOf(`server-${renewals++}`),
        key: keys.server,
      });
      served = [
        ...served.map((old) => ({ ...old, until: Math.min(old.until, now + PROPAGATION) })),
        { until: Infinity, certificate: pair.certificate },
      ];
      kept.server = { pair, at: now };
    }
    if (retire.length > 0) {
      for (const name of retire)
        kept.authorities.splice(
          kept.authorities.findIndex((one) => one.name === name),
          1,
        );
      publish(now);
    }
    served = served.filter(({ until }) => until >= now);
    // Each client has some bundle of the last weeks, and meets any server.
    const known = bundles.filter(
      ({ at }, index) => (bundles[index + 1]?.at ?? Infinity) > now - BEHIND && at <= now,
    );
    for (const { bundle } of known) {
      for (const { certificate } of served)
        assert.ok(verifies(certificate, bundle, now), new Date(now).toISOString());
    }
  }
  assert.ok(kept.made >= 3, `two rotations, not ${kept.made - 1}`);
  assert.equal(kept.authorities.length, 1);
  assert.ok(renewals > 25);
});

/** A certificate is read and a signature checked once: each moment of five years asks again. */
const read = new Map<string, InspectedCertificate>();
const signed = new Map<string, boolean>();

function inspect(pem: string): InspectedCertificate {
  const found = read.get(pem) ?? inspectCertificate(pem);
  read.set(pem, found);
  return found;
}

function isFrom(certificate: string, authority: string): boolean {
  const chain = certificate + authority;
  const found = signed.get(chain) ?? isSignedBy(inspect(certificate), inspect(authority));
  signed.set(chain, found);
  return found;
}

function verifies(certificate: string, bundle: readonly string[], now: number): boolean {
  const valid = [certificate, ...bundle].filter((pem) => {
    const { notBefore, notAfter } = inspect(pem);
    return notBefore <= now && now < notAfter;
  });
  return valid.includes(certificate) && bundle.some((pem) => valid.includes(pem) && isFrom(certificate, pem));
}
