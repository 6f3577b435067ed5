import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RepositoryName } from '../../../src/oci/repository-name.ts';
import { createRouting } from '../../../src/mirror/routing.ts';
import { RegistryError } from '../../../src/registry/errors.ts';
import { repositoryName } from '../../support/registry-content.ts';

const hub = {
  host: 'docker.io',
  names: ['docker.io', 'registry-1.docker.io', 'index.docker.io'],
  folder: 'docker.io',
};
const quay = { host: 'quay.io', names: ['quay.io', 'old.quay.io:443'], folder: 'quay.io' };
const local = { host: 'localhost:5000', names: ['localhost:5000'], folder: 'localhost_5000' };

type Case = readonly [name: string, ns: string | null, upstream: string, repository: string, stored: string];

function check(
  route: (
    name: RepositoryName,
    ns: string | null,
  ) => { upstream: { host: string }; repository: string; stored: string },
  cases: readonly Case[],
): void {
  for (const [name, ns, upstream, repository, stored] of cases) {
    const target = route(repositoryName(name), ns);
    assert.deepEqual(
      { upstream: target.upstream.host, repository: target.repository, stored: target.stored },
      { upstream, repository, stored },
      `${name} ns=${ns}`,
    );
  }
}

test('the upstream is chosen by ns, by the first part of the name, by default', () => {
  check(createRouting([hub, quay, local], 'docker.io'), [
    ['library/alpine', 'docker.io', 'docker.io', 'library/alpine', 'docker.io/library/alpine'],
    ['team/app', 'quay.io', 'quay.io', 'team/app', 'quay.io/team/app'],
    ['team/app', 'QUAY.io:443', 'quay.io', 'team/app', 'quay.io/team/app'],
    ['team/app', 'old.quay.io', 'quay.io', 'team/app', 'quay.io/team/app'],
    ['app', 'localhost:5000', 'localhost:5000', 'app', 'localhost_5000/app'],
    ['quay.io/team/app', null, 'quay.io', 'team/app', 'quay.io/team/app'],
    ['localhost_5000/app', null, 'localhost:5000', 'app', 'localhost_5000/app'],
    ['index.docker.io/library/alpine', null, 'docker.io', 'library/alpine', 'docker.io/library/alpine'],
    ['library/alpine', null, 'docker.io', 'library/alpine', 'docker.io/library/alpine'],
    ['ghcr.io/team/app', null, 'docker.io', 'ghcr.io/team/app', 'docker.io/ghcr.io/team/app'],
  ]);
});

test('with ns the first part of the name goes only when it says the same', () => {
  check(createRouting([hub, quay], undefined), [
    ['quay.io/team/app', 'quay.io', 'quay.io', 'team/app', 'quay.io/team/app'],
    ['registry-1.docker.io/a/b', 'docker.io', 'docker.io', 'a/b', 'docker.io/a/b'],
    ['quay.io/team', 'docker.io', 'docker.io', 'quay.io/team', 'docker.io/quay.io/team'],
    ['quay.io', 'quay.io', 'quay.io', 'quay.io', 'quay.io/quay.io'],
  ]);
});

test('an image of Docker Hub without a namespace is of library, of others it is not', () => {
  check(createRouting([hub, quay], 'docker.io'), [
    ['alpine', null, 'docker.io', 'library/alpine', 'docker.io/library/alpine'],
    ['docker.io/alpine', null, 'docker.io', 'library/alpine', 'docker.io/library/alpine'],
    ['alpine', 'quay.io', 'quay.io', 'alpine', 'quay.io/alpine'],
  ]);
});

test("without a folder repositories are stored under the upstream's names", () => {
  check(createRouting([{ ...hub, folder: undefined }], 'docker.io'), [
    ['alpine', null, 'docker.io', 'library/alpine', 'library/alpine'],
    ['docker.io/team/app', null, 'docker.io', 'team/app', 'team/app'],
  ]);
});

test('an upstream that is not configured is not known, whatever its name', () => {
  const route = createRouting([quay], undefined);
  for (const [name, ns] of [
    ['team/app', null],
    ['team/app', ''],
    ['team/app', '10.0.0.1:80'],
    ['quay.io/team/app', 'localhost'],
    ['quay.io', null],
  ] as const) {
    assert.throws(
      () => route(repositoryName(name), ns),
      (error) => error instanceof RegistryError && error.code === 'NAME_UNKNOWN',
      `${name} ns=${ns}`,
    );
  }
});
