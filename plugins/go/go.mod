module bulkhead.example/words

go 1.24
