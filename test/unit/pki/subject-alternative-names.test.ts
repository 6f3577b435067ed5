import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { inspectCertificate } from '../../../src/pki/inspect.ts';
import {
  normalizedIpAddress,
  sameNames,
  servedSubjectAlternativeNames,
  subjectAlternativeNames,
} from '../../../src/pki/subject-alternative-names.ts';
import { serverPair } from './test-authority.ts';

const service = { name: 'team', namespace: 'apps' };
const bare = { service, clusterIPs: [], loadBalancers: [], extra: [] };
const serviceNames = ['team', 'team.apps', 'team.apps.svc', 'team.apps.svc.cluster.local'];

describe('servedSubjectAlternativeNames', () => {
  it('has every form of the name of the Service.', () => {
    assert.deepEqual(servedSubjectAlternativeNames(bare), { dnsNames: serviceNames, ipAddresses: [] });
  });

  it('gathers what the registry is reached by, sorted, without repetition.', () => {
    const names = servedSubjectAlternativeNames({
      service,
      hostname: 'Registry.example.com:30500',
      clusterIPs: ['10.96.0.7', 'fd00:96::7'],
      loadBalancers: ['192.0.2.1', 'lb.example.net', 'registry.example.com'],
      extra: ['10.96.0.7', 'FD00:96:0::7', '*.example.com'],
    });
    assert.deepEqual(names, {
      dnsNames: ['*.example.com', 'lb.example.net', 'registry.example.com', ...serviceNames],
      ipAddresses: ['10.96.0.7', '192.0.2.1', 'fd00:96::7'],
    });
  });

  for (const [hostname, dnsName, ipAddress] of [
    ['registry.example.com', 'registry.example.com', undefined],
    ['registry.example.com:443', 'registry.example.com', undefined],
    ['192.0.2.1', undefined, '192.0.2.1'],
    ['192.0.2.1:5000', undefined, '192.0.2.1'],
    ['[fd00::1]', undefined, 'fd00::1'],
    ['[FD00::0001]:5000', undefined, 'fd00::1'],
  ] as const) {
    it(`reads the hostname ${hostname} without its port.`, () => {
      const { dnsNames, ipAddresses } = servedSubjectAlternativeNames({ ...bare, hostname });
      assert.deepEqual(
        dnsNames.filter((name) => !serviceNames.includes(name)),
        dnsName === undefined ? [] : [dnsName],
      );
      assert.deepEqual(ipAddresses, ipAddress === undefined ? [] : [ipAddress]);
    });
  }

  it('leaves out the ClusterIP of a Service that has none.', () => {
    assert.deepEqual(servedSubjectAlternativeNames({ ...bare, clusterIPs: ['None', ''] }).ipAddresses, []);
  });

  it('does not name this machine unless it is asked to.', () => {
    const { dnsNames, ipAddresses } = servedSubjectAlternativeNames({
      ...bare,
      extra: ['localhost', '127.0.0.1'],
    });
    assert.ok(dnsNames.includes('localhost'));
    assert.deepEqual(ipAddresses, ['127.0.0.1']);
  });
});

describe('normalizedIpAddress', () => {
  for (const [text, expected] of [
    ['192.0.2.1', '192.0.2.1'],
    ['::', '::'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['FD00:0:0:0:0:0:0:1', 'fd00::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::ffff:c000:0201', '192.0.2.1'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ['fe80::1%eth0', undefined],
    ['192.0.2', undefined],
    ['192.0.2.01', undefined],
    ['0x7f.1', undefined],
    ['[::1]', undefined],
    ['10.0.0.0/8', undefined],
    ['registry', undefined],
    ['', undefined],
  ] as const) {
    it(`writes ${JSON.stringify(text)} as ${JSON.stringify(expected)}.`, () => {
      assert.equal(normalizedIpAddress(text), expected);
    });
  }

  it('writes every address in one way.', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
        const address = normalizedIpAddress(text);
        assert.ok(address !== undefined);
        assert.equal(normalizedIpAddress(address), address);
        assert.equal(normalizedIpAddress(text.toUpperCase()), address);
      }),
    );
  });
});

describe('subjectAlternativeNames', () => {
  it('refuses what is neither a name nor an address.', () => {
    for (const text of [
      '',
      'a b',
      'a,b',
      'a..b',
      '-a',
      'a-',
      '*',
      '*.',
      'a.*.b',
      'ä.example.com',
      'https://a',
      `${'a.'.repeat(127)}a`,
    ]) {
      assert.throws(() => subjectAlternativeNames([text]), TypeError, text);
    }
  });

  it('is the same for the same names in another order, repeated, in upper case.', () => {
    fc.assert(
      fc.property(names, (list) => {
        const once = subjectAlternativeNames(list);
        const again = subjectAlternativeNames(
          [...list].reverse().flatMap((name) => [name, name.toUpperCase()]),
        );
        assert.ok(sameNames(once, again));
      }),
    );
  });

  it('tells sets apart that differ in one name.', () => {
    fc.assert(
      fc.property(names, (list) => {
        const without = subjectAlternativeNames(list.filter((name) => name !== 'one.more.example.com'));
        assert.ok(!sameNames(without, subjectAlternativeNames([...list, 'one.more.example.com'])));
      }),
    );
  });

  it('comes back from a certificate as it went in.', () => {
    fc.assert(
      fc.property(names, (list) => {
        const wanted = subjectAlternativeNames(list);
        const certificate = inspectCertificate(serverPair({ ...wanted }).certificate);
        assert.ok(sameNames(certificate, wanted));
        for (const address of wanted.ipAddresses) assert.equal(certificate.x509.checkIP(address), address);
      }),
      { numRuns: 50 },
    );
  });
});

const dnsName = fc.domain().filter((name) => name.length <= 253);
const names = fc.array(fc.oneof(dnsName, fc.ipV4(), fc.ipV6()), { minLength: 1, maxLength: 12 });
