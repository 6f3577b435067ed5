import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  fileName,
  nextSegment,
  segmentFolder,
  segmentName,
  segmentNumber,
} from '../../../../../src/registry/storage/swift/layout.ts';

test('files lie below files/ of the prefix, whose slashes count as in distribution 2.8', () => {
  const key = 'docker/registry/v2/blobs/sha256/34/34c7/data';
  assert.equal(fileName('', key), `files/${key}`);
  assert.equal(fileName('team', key), `team/files/${key}`);
  assert.equal(fileName('/team/a', key), `team/a/files/${key}`);
  assert.equal(fileName('team/', key), `team//files/${key}`);
});

// Written by Debian's docker-registry 2.8.2 into a Ceph gateway.
const written =
  'segments/2f6/46f636b65722f72656769737472792f76322f7265706f7369746f726965732f612f622f5f75706c6f6164732f31376335396331392d313665632d346131312d613134362d6265386430626538616461342f6461746134524c29032724b69b0a30fff7f8c3e0a969e5367fb613c83ebec688fc5073c7da39a3ee5e6b4b0d3255bfef95601890afd80709/0000000000000001';
const key = 'docker/registry/v2/repositories/a/b/_uploads/17c59c19-16ec-4a11-a146-be8d0be8ada4/data';

test('a segment has the name that distribution gives it', () => {
  const random = Buffer.from('34524c29032724b69b0a30fff7f8c3e0a969e5367fb613c83ebec688fc5073c7', 'hex');
  assert.equal(segmentName(segmentFolder('', key, random), 1), written);
  assert.equal(segmentName(segmentFolder('/team', key, random), 1), `team/${written}`);
});

test('the numbers of segments are read back, and other names have none', () => {
  assert.equal(segmentNumber(written), 1);
  assert.equal(segmentNumber(segmentName('segments/abc/def', 12_345)), 12_345);
  assert.equal(segmentNumber('segments/abc/def/1'), undefined);
  assert.equal(segmentNumber('segments/abc/0000000000000001/x'), undefined);
});

test('segments are numbered from 1, and distribution leaves 1 out behind its 0', () => {
  assert.deepEqual([undefined, 0, 1, 2].map(nextSegment), [1, 2, 2, 3]);
});
