import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseNodeReport, printNodeReport, type NodeReport } from '../../../src/contract/node-report.ts';

const report: NodeReport = {
  node: 'node-1',
  planHash: 'ab'.repeat(32),
  entries: [
    { id: '0b2f', host: 'docker.io', runtime: 'Containerd', state: 'Applied' },
    { id: '0b2f', host: 'quay.io', runtime: 'Docker', state: 'Conflict', message: 'There is a hosts.toml.' },
  ],
};

test('a report is read as it was printed', () => {
  assert.deepEqual(parseNodeReport(printNodeReport(report)), report);
  const unread: NodeReport = { node: 'node-1', planError: 'entries is no list', entries: [] };
  assert.deepEqual(parseNodeReport(printNodeReport(unread)), unread);
});

test('what is no report is none, and entries that nobody knows are left out', () => {
  for (const text of ['', 'null', '[]', '{}', '{"node":"a"}', '{"node":1,"entries":[]}']) {
    assert.equal(parseNodeReport(text), undefined, text);
  }
  const odd = {
    ...report,
    entries: [...report.entries, null, { id: 'x' }, { ...report.entries[0], state: 'Dancing' }],
  };
  assert.deepEqual(parseNodeReport(JSON.stringify(odd)), report);
});

test('no text is longer than a status has room for', () => {
  const long = { ...report, entries: [{ ...report.entries[1], message: 'x'.repeat(10_000) }] };
  assert.equal(parseNodeReport(JSON.stringify(long))?.entries[0]?.message?.length, 512);
});
