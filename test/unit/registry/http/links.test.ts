import assert from 'node:assert/strict';
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { test } from 'node:test';
import { createLinks } from '../../../../src/registry/http/links.ts';

function location(
  options: { host?: string; relative?: boolean; tls?: boolean },
  headers: Readonly<Record<string, string>>,
): string {
  const request = new IncomingMessage(new Socket());
  Object.assign(request.headers, headers);
  const links = createLinks({
    prefix: '/',
    host: options.host,
    relative: options.relative ?? false,
    tls: options.tls ?? false,
  });
  return links.location(request, '/v2/');
}

test('a Location is the URL that the client came by', () => {
  const cases: readonly (readonly [Parameters<typeof location>[0], Record<string, string>, string])[] = [
    [{}, { host: 'r:5000' }, 'http://r:5000/v2/'],
    [{ tls: true }, { host: 'r:5000' }, 'https://r:5000/v2/'],
    [{}, { host: '[::1]:5000' }, 'http://[::1]:5000/v2/'],
    [{}, { host: 'r:5000', 'x-forwarded-proto': 'https' }, 'https://r:5000/v2/'],
    [{}, { host: 'r', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'pub, r' }, 'https://pub/v2/'],
    [{}, { host: 'r', forwarded: 'for=1.2.3.4;proto=https;host="pub:8443", for=x' }, 'https://pub:8443/v2/'],
    [{ host: 'https://pub/' }, { host: 'r', 'x-forwarded-host': 'x' }, 'https://pub/v2/'],
    [{ host: 'https://pub:5000/registry/' }, { host: 'r' }, 'https://pub:5000/registry/v2/'],
    [{ host: 'https://bücher.example\n' }, { host: 'r' }, 'https://xn--bcher-kva.example/v2/'],
    [{ relative: true, host: 'https://pub' }, { host: 'r' }, '/v2/'],
    [{}, {}, '/v2/'],
    [{}, { host: 'a b\r\n' }, '/v2/'],
    [{}, { host: 'r', 'x-forwarded-proto': 'javascript' }, '/v2/'],
  ];
  for (const [options, headers, expected] of cases) {
    assert.equal(location(options, headers), expected, JSON.stringify([options, headers]));
  }
});

test('paths are below the prefix', () => {
  const links = createLinks({ prefix: '/registry', host: undefined, relative: true, tls: false });
  assert.equal(links.prefix, '/registry');
});
