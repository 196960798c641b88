"""The messages that all of Caffe's files are made of, as data for `schema.py`.

What a layer's type adds to a layer (`convolution_param` and the like) is declared with
the type: forks of Caffe give one field number to different messages. A layer keeps such
fields as they are in the file, in `raw`, a field that is in no file.

One unindented line names a message, the indented lines under it list its fields:
``number name type=default``, separated by ``;``. After the type, ``*`` means
repeated, ``**`` repeated and packed, ``!`` required. Enums belong to the message
they stand under, except the unindented one, which all messages may use.

The fields `raw_…` of BlobProto are NVCaffe's; `raw_data.py` says more.
"""

FIELDS = """\
enum Phase: TRAIN=0 TEST=1
BlobProto
    1 num int32=0; 2 channels int32=0; 3 height int32=0; 4 width int32=0;
    5 data float**; 6 diff float**; 7 shape BlobShape; 8 double_data double**;
    9 double_diff double**; 10 raw_data_type RawType; 11 raw_diff_type RawType;
    12 raw_data bytes; 13 raw_diff bytes
    enum RawType: DOUBLE=0 FLOAT=1 FLOAT16=2 INT=3 UINT=4
BlobProtoVector
    1 blobs BlobProto*
BlobShape
    1 dim int64**
LayerParameter
    1 name string; 2 type string; 3 bottom string*; 4 top string*; 5 loss_weight float*;
    6 param ParamSpec*; 7 blobs BlobProto*; 8 include NetStateRule*;
    9 exclude NetStateRule*; 10 phase Phase; 11 propagate_down bool*;
    536870911 raw Raw*
NetParameter
    1 name string; 2 layers V1LayerParameter*; 3 input string*; 4 input_dim int32*;
    5 force_backward bool=false; 6 state NetState; 7 debug_info bool=false;
    8 input_shape BlobShape*; 100 layer LayerParameter*
NetState
    1 phase Phase=TEST; 2 level int32=0; 3 stage string*
NetStateRule
    1 phase Phase; 2 min_level int32; 3 max_level int32; 4 stage string*;
    5 not_stage string*
ParamSpec
    1 name string; 2 share_mode DimCheckMode; 3 lr_mult float=1; 4 decay_mult float=1
    enum DimCheckMode: STRICT=0 PERMISSIVE=1
SolverState
    1 iter int32; 2 learned_net string; 3 history BlobProto*; 4 current_step int32=0
SolverParameter
    1 train_net string; 2 test_net string*; 3 test_iter int32*; 4 test_interval int32=0;
    5 base_lr float; 6 display int32; 7 max_iter int32; 8 lr_policy string;
    9 gamma float; 10 power float; 11 momentum float; 12 weight_decay float;
    13 stepsize int32; 14 snapshot int32=0; 15 snapshot_prefix string;
    16 snapshot_diff bool=false; 17 solver_mode SolverMode=GPU; 18 device_id int32=0;
    19 test_compute_loss bool=false; 20 random_seed int64=-1;
    21 train_net_param NetParameter; 22 test_net_param NetParameter*;
    23 debug_info bool=false; 24 net string; 25 net_param NetParameter;
    26 train_state NetState; 27 test_state NetState*; 28 snapshot_after_train bool=true;
    29 regularization_type string=L2; 30 solver_type SolverType=SGD;
    31 delta float=1e-08; 32 test_initialization bool=true; 33 average_loss int32=1;
    34 stepvalue int32*; 35 clip_gradients float=-1; 36 iter_size int32=1;
    37 snapshot_format SnapshotFormat=BINARYPROTO; 38 rms_decay float=0.99;
    39 momentum2 float=0.999; 40 type string=SGD; 41 layer_wise_reduce bool=true;
    42 weights string*
    enum SnapshotFormat: HDF5=0 BINARYPROTO=1
    enum SolverMode: CPU=0 GPU=1
    enum SolverType: SGD=0 NESTEROV=1 ADAGRAD=2 RMSPROP=3 ADADELTA=4 ADAM=5
V0LayerParameter
    1 name string; 2 type string; 3 num_output uint32; 4 biasterm bool=true;
    5 weight_filler FillerParameter; 6 bias_filler FillerParameter; 7 pad uint32=0;
    8 kernelsize uint32; 9 group uint32=1; 10 stride uint32=1; 11 pool PoolMethod=MAX;
    12 dropout_ratio float=0.5; 13 local_size uint32=5; 14 alpha float=1;
    15 beta float=0.75; 16 source string; 17 scale float=1; 18 meanfile string;
    19 batchsize uint32; 20 cropsize uint32=0; 21 mirror bool=false; 22 k float=1;
    50 blobs BlobProto*; 51 blobs_lr float*; 52 weight_decay float*;
    53 rand_skip uint32=0; 54 det_fg_threshold float=0.5; 55 det_bg_threshold float=0.5;
    56 det_fg_fraction float=0.25; 58 det_context_pad uint32=0;
    59 det_crop_mode string=warp; 60 new_num int32=0; 61 new_channels int32=0;
    62 new_height int32=0; 63 new_width int32=0; 64 shuffle_images bool=false;
    65 concat_dim uint32=1; 1001 hdf5_output_param HDF5OutputParameter
    enum PoolMethod: MAX=0 AVE=1 STOCHASTIC=2
V1LayerParameter
    1 layer V0LayerParameter; 2 bottom string*; 3 top string*; 4 name string;
    5 type LayerType; 6 blobs BlobProto*; 7 blobs_lr float*; 8 weight_decay float*;
    32 include NetStateRule*; 33 exclude NetStateRule*; 35 loss_weight float*;
    1001 param string*; 1002 blob_share_mode DimCheckMode*; 536870911 raw Raw*
    enum LayerType: NONE=0 ABSVAL=35 ACCURACY=1 ARGMAX=30 BNLL=2 CONCAT=3
        CONTRASTIVE_LOSS=37 CONVOLUTION=4 DATA=5 DECONVOLUTION=39 DROPOUT=6
        DUMMY_DATA=32 EUCLIDEAN_LOSS=7 ELTWISE=25 EXP=38 FLATTEN=8 HDF5_DATA=9
        HDF5_OUTPUT=10 HINGE_LOSS=28 IM2COL=11 IMAGE_DATA=12 INFOGAIN_LOSS=13
        INNER_PRODUCT=14 LRN=15 MEMORY_DATA=29 MULTINOMIAL_LOGISTIC_LOSS=16 MVN=34
        POOLING=17 POWER=26 RELU=18 SIGMOID=19 SIGMOID_CROSS_ENTROPY_LOSS=27 SILENCE=36
        SOFTMAX=20 SOFTMAX_LOSS=21 SPLIT=22 SLICE=33 TANH=23 WINDOW_DATA=24 THRESHOLD=31
    enum DimCheckMode: STRICT=0 PERMISSIVE=1
DataParameter
    1 source string; 2 scale float=1; 3 mean_file string; 4 batch_size uint32;
    5 crop_size uint32=0; 6 mirror bool=false; 7 rand_skip uint32=0;
    8 backend DB=LEVELDB; 9 force_encoded_color bool=false; 10 prefetch uint32=4
    enum DB: LEVELDB=0 LMDB=1
Datum
    1 channels int32; 2 height int32; 3 width int32; 4 data bytes; 5 label int32;
    6 float_data float*; 7 encoded bool=false
FillerParameter
    1 type string=constant; 2 value float=0; 3 min float=0; 4 max float=1;
    5 mean float=0; 6 std float=1; 7 sparse int32=-1;
    8 variance_norm VarianceNorm=FAN_IN; 9 diag_val float*
    enum VarianceNorm: FAN_IN=0 FAN_OUT=1 AVERAGE=2
HDF5OutputParameter
    1 file_name string
ImageDataParameter
    1 source string; 2 scale float=1; 3 mean_file string; 4 batch_size uint32=1;
    5 crop_size uint32=0; 6 mirror bool=false; 7 rand_skip uint32=0;
    8 shuffle bool=false; 9 new_height uint32=0; 10 new_width uint32=0;
    11 is_color bool=true; 12 root_folder string
TransformationParameter
    1 scale float=1; 2 mirror bool=false; 3 crop_size uint32=0; 4 mean_file string;
    5 mean_value float*; 6 force_color bool=false; 7 force_gray bool=false
WindowDataParameter
    1 source string; 2 scale float=1; 3 mean_file string; 4 batch_size uint32;
    5 crop_size uint32=0; 6 mirror bool=false; 7 fg_threshold float=0.5;
    8 bg_threshold float=0.5; 9 fg_fraction float=0.25; 10 context_pad uint32=0;
    11 crop_mode string=warp; 12 cache_images bool=false; 13 root_folder string
Raw
    1 name string; 2 number int32; 3 wire int32; 4 value bytes; 5 line int32;
    6 column int32; 7 offset int64
"""
