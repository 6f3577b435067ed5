import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { containerdProblem } from '../../../src/node/containerd-config.ts';
import { hostFiles } from '../../../src/node/host-files.ts';
import { readContainerdConfig } from '../../../src/node/read-containerd-config.ts';
import { withTemporaryFolder } from '../../support/temporary-folder.ts';
import { plant } from './node-tree.ts';

const FOLDER = '/etc/containerd/certs.d';
const V1 = (path: string) => `[plugins.cri.registry]\nconfig_path = "${path}"\n`;
const V2 = (path: string) =>
  `version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\nconfig_path = "${path}"\n`;
const V3 = (path: string, more = '') =>
  `version = 3\n[plugins."io.containerd.cri.v1.images"]\n${more}\n[plugins."io.containerd.cri.v1.images".registry]\nconfig_path = "${path}"\n`;

const effective: Readonly<Record<string, readonly string[]>> = {
  'version 1, which a file without version has': [V1(FOLDER)],
  'version 2, of containerd 1.x and 2.x': [V2(FOLDER)],
  'version 3, of containerd 2.x': [V3(FOLDER)],
  'a slash at the end': [V3(`${FOLDER}/`)],
  'what is imported goes before': [V3('/other'), V3(FOLDER)],
  'an import that says nothing of it': [V3(FOLDER), 'version = 3\n'],
  'several folders where images are pulled locally': [
    V3(`${FOLDER}:/etc/docker/certs.d`, 'use_local_image_pull = true'),
  ],
  'several folders on EKS': [V3(`${FOLDER}:/etc/docker/certs.d`, 'discard_unpacked_layers = true')],
  'a version that nobody knows yet': ['version = 9\n'],
};

for (const [title, texts] of Object.entries(effective)) {
  test(`containerd reads the folder: ${title}`, () => {
    assert.equal(containerdProblem(texts, FOLDER), undefined);
  });
}

const without: Readonly<Record<string, readonly [texts: readonly string[], problem: RegExp]>> = {
  'no configuration': [[], /is configured with no config_path/],
  'no config_path': [
    ['version = 2\n'],
    /no config_path.*\[plugins\."io\.containerd\.grpc\.v1\.cri"\.registry\].*\(version = 2\)/,
  ],
  'an empty one': [[V2('')], /no config_path/],
  'another folder': [
    [V3('/etc/certs.d')],
    /^containerd reads \/etc\/certs\.d and not \/etc\/containerd\/certs\.d\. Set config_path = /,
  ],
  'several folders': [
    [V3(`${FOLDER}:/etc/docker/certs.d`)],
    /2\.1 and later ignore a config_path of several folders/,
  ],
  'the plugin of containerd 1 in version 3': [
    [V2(FOLDER).replace('version = 2', 'version = 3')],
    /has the version 3, in which a config_path of the plugin io\.containerd\.grpc\.v1\.cri is not read/,
  ],
  'the plugin of containerd 2 in version 2': [
    [V3(FOLDER).replace('version = 3', 'version = 2')],
    /has the version 2, in which/,
  ],
  'the plugin of version 2 without a version': [
    [V2(FOLDER).replace('version = 2', '')],
    /has the version 1, in which/,
  ],
  'mirrors as they once were': [
    [
      'version = 2\n[plugins."io.containerd.grpc.v1.cri".registry.mirrors."docker.io"]\nendpoint = ["https://a"]\n',
    ],
    /registry\.mirrors, beside which there can be no config_path/,
  ],
  'no TOML': [['version ='], /is no TOML/],
};

for (const [title, [texts, problem]] of Object.entries(without)) {
  test(`containerd does not read the folder, and the remedy is told: ${title}`, () => {
    assert.match(containerdProblem(texts, FOLDER) ?? '', problem);
  });
}

test('what a configuration imports is read, by paths as the node has them', () =>
  withTemporaryFolder(async (root) => {
    plant(root, {
      'etc/containerd/config.toml':
        'imports = ["/etc/containerd/conf.d/*.toml", "own.toml", "/elsewhere/*.toml"]\n',
      'etc/containerd/conf.d/b.toml': '# b',
      'etc/containerd/conf.d/a.toml': '# a',
      'etc/containerd/conf.d/a.txt': '# no',
      'etc/containerd/own.toml': '# own',
    });
    const texts = await readContainerdConfig(hostFiles, root, '/etc/containerd/config.toml');
    assert.deepEqual(texts.slice(1), ['# a', '# b', '# own']);
    assert.deepEqual(await readContainerdConfig(hostFiles, root, '/etc/none.toml'), []);
    mkdirSync(join(root, 'folder.toml'));
    assert.deepEqual(await readContainerdConfig(hostFiles, root, '/folder.toml'), []);
  }));
