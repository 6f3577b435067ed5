import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  COLLECTION_PHASES,
  encodeReport,
  type CollectionReport,
} from '../../../src/contract/collection-report.ts';
import { parseCollectionReport } from '../../../src/operator/parse-collection-report.ts';

/** Every number as long as it can be. */
const most = Number.MAX_SAFE_INTEGER;
const report = (message: string): CollectionReport => ({
  result: 'DrainTimeout',
  message,
  dryRun: false,
  startTime: '2026-01-01T00:00:00.000Z',
  completionTime: '2026-01-01T00:00:00.000Z',
  readOnlySeconds: most,
  repositoriesScanned: most,
  manifestsScanned: most,
  blobsScanned: most,
  repositoriesDeleted: most,
  uploadsDeleted: most,
  tagsDeleted: most,
  manifestsDeleted: most,
  blobsDeleted: most,
  linksDeleted: most,
  bytesReclaimed: most,
  bytesInTrash: most,
  phaseSeconds: Object.fromEntries(COLLECTION_PHASES.map((phase) => [phase, most])),
});

for (const [title, letter] of [
  ['letters', 'a'],
  ['characters of four bytes', '😀'],
  ['characters that JSON writes in six', '\0'],
] as const) {
  test(`a report with 1024 ${title} is whole within what Kubernetes takes for a termination message`, () => {
    const text = encodeReport(report(letter.repeat(1024)));
    assert.ok(Buffer.byteLength(text) <= 4096, `${Buffer.byteLength(text)} bytes`);
    const read = parseCollectionReport(text);
    assert.equal(read?.bytesInTrash, most);
    assert.ok(read.message.length > 100 && letter.repeat(1024).startsWith(read.message));
  });
}

test('a message that has room is not cut', () => {
  assert.deepEqual(parseCollectionReport(encodeReport(report('x'.repeat(1024)))), report('x'.repeat(1024)));
});
