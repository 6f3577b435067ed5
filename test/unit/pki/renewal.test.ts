import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { inspectCertificate } from '../../../src/pki/inspect.ts';
import {
  BACKDATE_MS,
  authorityProblem,
  renewalReason,
  renewalTime,
  validity,
} from '../../../src/pki/renewal.ts';
import type { RenewalReason, RenewalState } from '../../../src/pki/renewal.ts';
import { authorityPair, DAY, HOUR, keys, NOW, serverPair } from './test-authority.ts';

const authority = inspectCertificate(authorityPair().certificate);
const names = { dnsNames: ['registry.example.com'], ipAddresses: ['10.0.0.1', 'fd00::1'] };
const stored = serverPair(validity(NOW, 90 * DAY));

/** A certificate that was issued at `NOW` for 90 days and is wanted as it is, with small changes. */
function state(changes: Partial<RenewalState> = {}): RenewalState {
  return {
    stored,
    authority,
    desired: names,
    durationMs: 90 * DAY,
    renewBeforeMs: undefined,
    now: NOW,
    ...changes,
  };
}

const twoThirds = NOW - BACKDATE_MS + ((90 * DAY + BACKDATE_MS) * 2) / 3;

const cases: readonly (readonly [
  title: string,
  changes: Partial<RenewalState>,
  expected: RenewalReason | undefined,
])[] = [
  ['A certificate that was just issued', {}, undefined],
  ['No Secret', { stored: undefined }, 'SecretMissing'],
  ['A Secret without anything in it', { stored: {} }, 'KeysMissing'],
  ['A Secret without the key', { stored: { certificate: stored.certificate } }, 'KeysMissing'],
  ['A Secret with an empty certificate', { stored: { ...stored, certificate: '' } }, 'KeysMissing'],
  ['A certificate that cannot be read', { stored: { ...stored, certificate: 'secret' } }, 'Unreadable'],
  ['A key that cannot be read', { stored: { ...stored, key: 'secret' } }, 'Unreadable'],
  ['The key of another certificate', { stored: { ...stored, key: authorityPair().key } }, 'KeyMismatch'],
  [
    'Another authority of the same name',
    { authority: inspectCertificate(authorityPair({ key: keys.other }).certificate) },
    'AuthorityChanged',
  ],
  [
    'Another authority with the same key',
    { authority: inspectCertificate(authorityPair({ commonName: 'other' }).certificate) },
    'AuthorityChanged',
  ],
  ['A name more', { desired: { ...names, dnsNames: ['a.example.com', ...names.dnsNames] } }, 'NamesChanged'],
  ['An address less', { desired: { ...names, ipAddresses: ['10.0.0.1'] } }, 'NamesChanged'],
  ['A shorter duration', { durationMs: 30 * DAY }, 'DurationChanged'],
  ['A longer duration', { durationMs: 91 * DAY }, 'DurationChanged'],
  ['A clock that is a little behind', { now: NOW - BACKDATE_MS }, undefined],
  ['A certificate from the future', { now: NOW - BACKDATE_MS - 1 }, 'NotYetValid'],
  ['The last moment before two thirds of the lifetime', { now: twoThirds - 1001 }, undefined],
  ['Two thirds of the lifetime', { now: twoThirds }, 'RenewalDue'],
  ['The last moment before renewBefore', { renewBeforeMs: HOUR, now: NOW + 90 * DAY - HOUR - 1 }, undefined],
  ['The moment of renewBefore', { renewBeforeMs: HOUR, now: NOW + 90 * DAY - HOUR }, 'RenewalDue'],
  ['The end', { now: NOW + 90 * DAY }, 'Expired'],
  [
    'Names that changed, of a certificate that is expired',
    { desired: { ...names, dnsNames: [] }, now: NOW + 90 * DAY },
    'NamesChanged',
  ],
];

describe('renewalReason', () => {
  for (const [title, changes, expected] of cases) {
    it(`${title}: ${expected ?? 'nothing to do'}.`, () => {
      const finding = renewalReason(state(changes));
      assert.equal(finding?.reason, expected);
      if (finding) {
        assert.match(finding.message, /^[A-Z][^\n]+\.$/);
        assert.doesNotMatch(finding.message, /secret/);
      }
    });
  }

  it('says which names change.', () => {
    const desired = { dnsNames: ['a.example.com', ...names.dnsNames], ipAddresses: ['10.0.0.1'] };
    const message = 'The names of the certificate change: +a.example.com, -fd00::1.';
    assert.deepEqual(renewalReason(state({ desired })), { reason: 'NamesChanged', message });
  });

  it('is content with each certificate that it asked for, until that is due.', () => {
    const moment = fc.integer({ min: 0, max: 3640 * DAY });
    fc.assert(
      fc.property(moment, fc.integer({ min: HOUR, max: 365 * DAY }), (later, durationMs) => {
        const now = NOW + later;
        const issued = serverPair(validity(now, durationMs, authority.notAfter));
        const again = state({ stored: issued, durationMs, now });
        assert.equal(renewalReason(again), undefined);
      }),
      { numRuns: 50 },
    );
  });

  it('does not renew over and over when the authority is near its end.', () => {
    for (const left of [DAY, HOUR, 2 * 60_000, 1000]) {
      const now = authority.notAfter - left;
      const issued = serverPair(validity(now, 90 * DAY, authority.notAfter));
      assert.equal(renewalReason(state({ stored: issued, now })), undefined);
      assert.equal(renewalReason(state({ stored: issued, now: authority.notAfter - 1 })), undefined);
    }
  });
});

describe('renewalTime', () => {
  it('is after two thirds of the issued lifetime, in whole seconds.', () => {
    assert.equal(renewalTime({ notBefore: 0, notAfter: 3000 }), 2000);
    assert.equal(renewalTime({ notBefore: 0, notAfter: 10_000 }), 6000);
  });

  it('is renewBefore before the end.', () => {
    assert.equal(renewalTime({ notBefore: NOW, notAfter: NOW + DAY }, HOUR), NOW + 23 * HOUR);
  });

  it('ignores a renewBefore as long as a lifetime that was cut short.', () => {
    const cut = { notBefore: NOW, notAfter: NOW + HOUR };
    assert.equal(renewalTime(cut, 2 * HOUR), NOW + (HOUR * 2) / 3);
    assert.equal(renewalTime(cut, HOUR - BACKDATE_MS), NOW + (HOUR * 2) / 3);
  });
});

describe('validity', () => {
  it('begins five minutes early and is cut to seconds and to the limit.', () => {
    assert.deepEqual(validity(NOW + 999, HOUR), { notBefore: NOW - BACKDATE_MS, notAfter: NOW + HOUR });
    assert.equal(validity(NOW, HOUR, NOW + 1000).notAfter, NOW + 1000);
  });
});

describe('authorityProblem', () => {
  const pair = authorityPair();
  for (const [title, candidate, now, expected] of [
    ['A good one', pair, NOW, undefined],
    ['Half of one', { certificate: pair.certificate }, NOW, 'KeysMissing'],
    ['Garbage', { ...pair, certificate: 'secret' }, NOW, 'Unreadable'],
    ['The key of another', { ...pair, key: authorityPair({ key: keys.other }).key }, NOW, 'KeyMismatch'],
    ['A server certificate', stored, NOW, 'NotAnAuthority'],
    ['An expired one', pair, NOW + 3650 * DAY, 'Expired'],
  ] as const) {
    it(`${title}: ${expected ?? 'nothing is wrong'}.`, () => {
      assert.equal(authorityProblem(candidate, now)?.reason, expected);
    });
  }
});
