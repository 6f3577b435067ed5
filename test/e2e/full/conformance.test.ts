import { testConformance } from '../support/conformance.ts';

testConformance('1.1', 'a file system');
testConformance('dev', 'a file system', 4);
testConformance('1.1', 'S3 with redirects');
testConformance('1.1', 'Swift', 4);
testConformance('1.1', 'S3 without redirects', 4);
testConformance('dev', 'S3 without redirects');
testConformance('dev', 'Swift');
testConformance('dev', 'Swift', 4);
testConformance('1.1', 'Swift with redirects');
testConformance('dev', 'Swift with redirects');
