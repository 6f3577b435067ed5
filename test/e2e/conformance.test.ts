import { testConformance } from './support/conformance.ts';

testConformance('1.1', 'a file system', 4);
testConformance('dev', 'a file system');
testConformance('dev', 'S3 with redirects', 4);
testConformance('1.1', 'Swift');
