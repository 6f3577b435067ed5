import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { elements, elementText, escapeXml } from '../../../../../src/registry/storage/object-store/xml.ts';

test('elements are found by name, whatever their attributes and name spaces', () => {
  const xml = `<?xml version="1.0" encoding="UTF-8"?>
    <s3:List xmlns:s3="http://s3.amazonaws.com/doc/2006-03-01/"><Prefix/>
      <s3:Upload kind="a"><Key>a</Key><UploadId>1</UploadId></s3:Upload>
      <Upload><Key>b</Key><UploadId >2</UploadId ></Upload><UploadId>3</UploadId>
    </s3:List>`;
  assert.deepEqual(
    elements(xml, 'Upload').map((upload) => [elementText(upload, 'Key'), elementText(upload, 'UploadId')]),
    [
      ['a', '1'],
      ['b', '2'],
    ],
  );
  assert.equal(elementText(xml, 'Prefix'), '');
  assert.equal(elementText(xml, 'Marker'), undefined);
});

test('entities and CDATA are text', () => {
  const xml = '<b>&lt;&amp;&#38;&#x26;&quot;&unknown;&#x110000;<![CDATA[<&lt;]]></b>';
  assert.equal(elementText(xml, 'b'), '<&&&"&unknown;&#x110000;<&lt;');
});

test('what is no XML has no elements', () => {
  for (const text of ['', 'no XML', '<a>', '{"a":1}']) assert.deepEqual(elements(text, 'a'), []);
});

test('any text survives being escaped', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      assert.equal(elementText(`<a><b>${escapeXml(text)}</b></a>`, 'b'), text);
    }),
  );
});
